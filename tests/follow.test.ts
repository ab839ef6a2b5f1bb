import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { freePort } from '@scanmq/local-redis';
import { createKeys } from '@scanmq/queue';
import type { Simulator } from '@scanmq/simulator';
import {
  createService,
  type RunningProgram,
  restClient,
  startProgram,
  type TestService,
  until,
} from '@scanmq/testkit';
import { Redis } from 'ioredis';

const SCANMQ = fileURLToPath(new URL('../apps/cli/bin/scanmq.js', import.meta.url));
const REDIS_URL = process.env.SCANMQ_TEST_REDIS_URL ?? '';

let service: TestService;
let simulator: Simulator;
let live: Simulator;
let gateway: { url: string; program: RunningProgram };
let api: ReturnType<typeof restClient>;

beforeAll(async () => {
  service = await createService({
    redisUrl: REDIS_URL,
    scanners: [
      // a scan ends when the test says so
      { limit: 20, scanDurationMs: 600_000 },
      { pool: 'quick', scanDurationMs: 3_000 },
      // here too, but its hosts are soon to be seen
      { pool: 'live', scanDurationMs: 15_000 },
    ],
  });
  const [first, , third] = service.simulators;
  if (!first || !third) throw new Error('no simulator');
  simulator = first;
  live = third;
  // it is started again at its port
  const started = service.startGateway({ PORT: String(await freePort()) });
  [gateway] = await Promise.all([started, service.startWorker()]);
  api = restClient(gateway.url);
}, 150_000);
afterAll(async () => await service.close());

const scan = (...args: string[]): RunningProgram =>
  startProgram(['scan', '192.0.2.1', '--name', 'followed', ...args], { SCANMQ_URL: gateway.url });
const idOf = (output: string): string => /ne_\w+/.exec(output)?.[0] ?? '';
const runs = (program: { output: () => string }) =>
  until('it runs', () => program.output().includes('running (running)'));
const running = async (program: { output: () => string }): Promise<string> => {
  await runs(program);
  return idOf(program.output());
};
const endScans = (): unknown => simulator.endScans('all', 'completed');

describe('following a scan in a log', () => {
  it('writes a line per change, with its time, and what came of it', async () => {
    const program = scan('--pool', 'quick', '--wait');
    expect(await program.ended).toMatchObject({ code: 0 });
    const lines = program.output().split('\n');
    const changes = lines.filter((line) => /^\d{4}-\d\d-\d\dT[\d:.]+Z /.test(line));
    const text = changes.map((line) => line.slice(line.indexOf(' ') + 1)).join('\n');
    expect(text).toMatch(
      /0 % queued.*Assigned to quick:scanner2\..*created on quick:scanner2\..*launched\..*\d+ % running \(running\) on quick:scanner2.*Stored: \d+ findings on 1 hosts\.\n100 % completed on quick:scanner2$/s,
    );
    // in order, none twice, and no more of them than something happened
    expect(changes).toEqual([...new Set(changes)]);
    // a change of state may be looked up in the moment in which the stream tells of it: then it has the time of the look
    const told = changes.filter((line) => !/Z \d+ % /.test(line)).map((line) => line.slice(0, 24));
    expect(told).toEqual([...told].sort());
    const percents = changes.flatMap((line) => /Z (\d+) % /.exec(line)?.slice(1).map(Number) ?? []);
    expect(percents).toEqual([...percents].sort((a, b) => a - b));
    expect(changes.length).toBeLessThan(45);
    expect(program.output()).not.toContain('\u001b');
    expect(program.output()).toContain('followed (ne_');
  }, 150_000);

  it('goes on where it was when the gateway was killed, and waits for it', async () => {
    const program = scan('--wait');
    const taskId = await running(program);
    gateway.program.kill('SIGKILL');
    await gateway.program.ended;
    await until('it says so', () => program.output().includes('the scan goes on meanwhile'));
    endScans();
    gateway = await service.startGateway({ PORT: new URL(gateway.url).port });
    expect(await program.ended).toMatchObject({ code: 0 });
    const text = program.output();
    expect(text).toContain('Following it again.');
    expect(text.match(/ launched\./g)).toHaveLength(1);
    expect(text).toMatch(/Stored: .*\n.* 100 % completed/);
    expect((await api.status(taskId)).status).toBe('completed');
  }, 150_000);

  it('gives up on a gateway that stays away, with a word on how to go on', async () => {
    const program = scan('--wait', '--patience', '2');
    const taskId = await running(program);
    gateway.program.kill('SIGKILL');
    await gateway.program.ended;
    expect(await program.ended).toMatchObject({ code: 4 });
    expect(program.output()).toContain(`The scan goes on. Follow it with "scanmq status ${taskId} --wait"`);
    gateway = await service.startGateway({ PORT: new URL(gateway.url).port });
    expect((await api.status(taskId)).status).toBe('running');
    endScans();
  }, 150_000);

  it('asks again and again where somebody in between lets no stream through', async () => {
    const refused: string[] = [];
    const proxy = createServer(async (request, response) => {
      if (request.url?.endsWith('/events')) {
        refused.push(request.url);
        response.writeHead(200, { 'content-type': 'text/html' }).end('<p>Streams are not for you.</p>');
        return;
      }
      const answer = await fetch(`${gateway.url}${request.url}`);
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const { task_id } = await api.submit({ targets: '192.0.2.9', name: 'polled' });
    const program = startProgram(['status', task_id, '--wait'], {
      SCANMQ_URL: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    });
    await runs(program);
    endScans();
    expect(await program.ended).toMatchObject({ code: 0 });
    expect(refused).toHaveLength(1);
    expect(program.output()).toContain('100 % completed');
    proxy.close();
  }, 150_000);
});

describe('Ctrl-C', () => {
  it('has a scan cancelled that the command submitted, and follows it to that end', async () => {
    const program = scan('--wait');
    const taskId = await running(program);
    program.kill('SIGINT');
    expect(await program.ended).toMatchObject({ code: 3 });
    expect(program.output()).toMatch(/Ctrl-C once more leaves it running\..*cancelled on nessus/s);
    expect((await api.status(taskId)).error?.message).toContain('Ctrl-C on the command line');
  }, 150_000);

  it('pressed twice leaves the scan running, and says how to go on', async () => {
    const program = scan('--targets', '192.0.2.77', '--wait', '--json');
    await until('its scan runs', async () => {
      const { tasks } = (await api.call('GET', '/api/v1/scans?target_filter=192.0.2.77')).json();
      return tasks[0]?.scanner_status === 'running';
    });
    // only then it takes Ctrl-C for a question
    await until('it follows', async () =>
      /^scanmq_event_streams 1$/m.test((await api.call('GET', '/metrics')).text),
    );
    program.kill('SIGINT');
    await until('it asks', () => program.output().includes('leaves it running'));
    program.kill('SIGINT');
    expect(await program.ended).toMatchObject({ code: 130 });
    const taskId = idOf(program.output());
    expect(program.output()).toContain(`cancel it with "scanmq cancel ${taskId}"`);
    expect(await api.status(taskId)).toMatchObject({ status: 'running', error: null });

    // of a scan that this command did not submit, the first is enough
    const follower = startProgram(['status', taskId, '--wait'], { SCANMQ_URL: gateway.url });
    await runs(follower);
    follower.kill('SIGINT');
    expect(await follower.ended).toMatchObject({ code: 130 });
    expect((await api.status(taskId)).status).toBe('running');
    endScans();
  }, 150_000);
});

const HAS_SCRIPT = ((): boolean => {
  try {
    return execFileSync('script', ['--version'], { encoding: 'utf8' }).includes('util-linux');
  } catch {
    return false;
  }
})();

/** The command on a terminal of its own. */
function onTerminal(args: string, env: Record<string, string> = {}, size = 'rows 20 cols 100') {
  const command = `stty ${size}; exec ${process.execPath} ${SCANMQ} ${args}`;
  const child: ChildProcess = spawn('script', ['-qec', command, '/dev/null'], {
    env: { PATH: process.env.PATH ?? '', TERM: 'xterm', SCANMQ_URL: gateway.url, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  // not at its exit: what it showed last may still be on its way to us then
  const ended = once(child, 'close').then(([code]) => code as number | null);
  return { output: () => text, ended, type: (keys: string) => void child.stdin?.write(keys) };
}

const onATerminal = HAS_SCRIPT ? describe : describe.skip;

onATerminal('following a scan on a terminal', () => {
  it('shows hosts, time and estimate, drawn over in place', async () => {
    // an estimate needs a scan that has ended: one that took as long as no machine needs for this test
    const redis = new Redis(REDIS_URL);
    await redis.lpush(createKeys(service.prefix).durations('live'), 600_000);
    redis.disconnect();
    const program = onTerminal('scan 192.0.2.0/28 --name live --pool live --wait');
    for (const shown of [
      /█+░* +\d+ % {2}running \(running\) on live:scanner3/,
      /running for \d+ s · about \d+ min \d+ s left · \d+ of \d+ hosts done/,
      / {2}192\.0\.2\.\d+ +█*░* +\d+ %/,
    ])
      await until(`it shows ${shown}`, () => shown.test(stripVTControlCharacters(program.output())));
    live.endScans('all', 'completed');
    expect(await program.ended).toBe(0);
    const text = program.output();
    const plain = stripVTControlCharacters(text);
    expect(text).toContain('\u001b[?25l');
    // the cursor is back
    expect(text).toContain('\u001b[?25h');
    expect(plain).toMatch(/█{40}.* 100 % {2}completed/);
  }, 150_000);

  it('keeps within a small one, and without colours where none are wanted', async () => {
    const args = 'scan 192.0.2.0/28 --name live --pool live --wait';
    const program = onTerminal(args, { NO_COLOR: '1' }, 'rows 10 cols 60');
    await until('it leaves hosts out', () => /and \d+ more/.test(program.output()));
    live.endScans('all', 'completed');
    expect(await program.ended).toBe(0);
    const [view = ''] = program.output().split('live (ne_');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the ones that colour
    expect(view).not.toMatch(/\u001b\[(3\d|2|1)m/);
    const frames = view.split('running for').slice(1);
    expect(frames.some((frame) => /192\.0\.2\.\d+ +█/.test(frame))).toBe(true);
    expect(view).toMatch(/and \d+ more/);
  }, 150_000);

  it('lets Ctrl-C cancel', async () => {
    const program = onTerminal('scan 192.0.2.1 --name live --wait');
    await runs(program);
    program.type('\u0003');
    expect(await program.ended).toBe(3);
    expect(program.output()).toContain('Ctrl-C once more leaves it running.');
    expect((await api.status(idOf(program.output()))).status).toBe('cancelled');
  }, 150_000);
});
