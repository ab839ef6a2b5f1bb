/** The list of tasks over several gateways, and the command that prints it. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ScanStatus, TaskList } from '@scanmq/contract';
import { createService, restClient, startProgram, type TestService } from '@scanmq/testkit';

let service: TestService;
let [one, other] = [restClient(''), restClient('')];

beforeAll(async () => {
  // no worker: every task stays queued
  service = await createService({
    redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '',
    env: { MAX_HOSTS_PER_SCAN: '0' },
  });
  const gateways = await Promise.all([service.startGateway(), service.startGateway()]);
  [one, other] = [restClient(gateways[0].url), restClient(gateways[1].url)];
});
afterAll(async () => await service.close());

type Client = typeof one;
async function list(client: Client, query: Record<string, string> = {}): Promise<TaskList> {
  const answer = await client.call('GET', `/api/v1/scans?${new URLSearchParams(query)}`);
  expect(answer.status).toBe(200);
  return answer.json();
}
const names = ({ tasks }: TaskList): string[] => tasks.map((task) => task.name);
async function command(...args: string[]): Promise<{ code: number | null; output: string }> {
  const program = startProgram(args, { SCANMQ_URL: one.url });
  const { code } = await program.ended;
  return { code, output: program.output() };
}

describe('the list of tasks', () => {
  it('has at once what another gateway accepted, filtered in every way, with the exact total', async () => {
    const made: ScanStatus[] = [];
    expect((await list(other)).total).toBe(0);
    for (const [name, targets] of [
      ['network', '10.1.0.0/16'],
      ['hosts', '10.1.2.3, 10.9.9.9, web.example'],
      ['range', '10.2.0.0-10.2.0.50'],
      ['six', '2001:db8::/64'],
    ] as const) {
      made.push(await one.submit({ name, targets }));
      expect(names(await list(other, { limit: '1' }))).toEqual([name]);
    }
    expect(names(await list(other, { target_filter: '10.1.2.3' }))).toEqual(['hosts', 'network']);
    expect(names(await list(other, { target_filter: '10.2.0.48/30' }))).toEqual(['range']);
    expect(names(await list(other, { target_filter: '2001:db8::1-2001:db8::9' }))).toEqual(['six']);
    expect(names(await list(other, { target_filter: 'WEB.example.' }))).toEqual(['hosts']);
    const first = await list(other, { target_filter: '10.0.0.0/8', limit: '2' });
    expect([names(first), first.total]).toEqual([['range', 'hosts'], 3]);
    // what comes in between moves nothing
    await one.submit({ name: 'late', targets: '10.1.1.1' });
    const second = await list(other, {
      target_filter: '10.0.0.0/8',
      limit: '2',
      cursor: String(first.next_cursor),
    });
    expect([names(second), second.total, second.next_cursor]).toEqual([['network'], 4, null]);

    const six = made[3]?.created_at ?? '';
    expect(names(await list(other, { created_after: six }))).toEqual(['late', 'six']);
    expect((await list(other, { created_before: six })).total).toBe(3);
    expect((await list(other, { created_before: '2020-01-01' })).total).toBe(0);
    expect((await list(other, { principal: 'local' })).total).toBe(5);
    expect((await list(other, { principal: 'nobody' })).total).toBe(0);
    await one.call('POST', `/api/v1/scans/${made[0]?.task_id}/cancel`);
    expect(names(await list(other, { status_filter: 'cancelled' }))).toEqual(['network']);
    expect((await list(other, { status_filter: 'queued', scanner_pool: 'nessus' })).total).toBe(4);
  });

  it.each([
    ['target_filter', 'target_filter=300.1.1.1'],
    ['cursor', 'cursor=bm9uc2Vuc2U'],
    ['created_after', 'created_after=yesterday'],
    ['created_before', 'created_before=2026-02-30'],
    ['status_filter', 'status_filter=done'],
  ])('refuses a %s that is none, in words to act on', async (path, query) => {
    const answer = await one.call('GET', `/api/v1/scans?${query}`);
    expect(answer.json()).toMatchObject({
      status: 400,
      code: 'invalid_request',
      errors: [{ path, message: expect.stringMatching(/expected/i) }],
    });
  });

  it('is printed by the command, as a table and as JSON', async () => {
    const { code, output } = await command('list', '--target', '10.1.0.0/16', '--limit', '2');
    const cursor = / of 3 tasks; go on with --cursor (\S+)/.exec(output)?.[1] ?? '';
    expect([code, output.includes('late'), output.includes('hosts')]).toEqual([0, true, true]);
    const rest = await command('list', '--target', '10.1.0.0/16', '--json', '--cursor', cursor);
    expect(names(JSON.parse(rest.output))).toEqual(['network']);
    expect(await command('list', '--status', 'failed')).toEqual({ code: 0, output: '0 tasks.\n' });
    expect((await command('list', '--created-after', 'yesterday')).code).toBe(2);
  });
});
