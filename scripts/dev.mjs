// `npm run dev`: the service from the sources, with hot reload. A private Redis (unless REDIS_URL names one), the simulator,
// a gateway and a worker; what is built anew is started anew: a worker hands its scans over, so they go on. A change that
// does not compile changes nothing that runs. Ctrl-C ends all of it.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, rmSync, statSync, watch } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const PASSWORD = 'simulator';
/** Longer than a worker needs to hand over its scans. */
const STOP_MS = 75_000;
/** Files of one change are written one after the other. */
const SETTLE_MS = 200;
/** Folders whose files are read as they are, without being built. */
const READ_AS_THEY_ARE = ['packages/queue/lua', 'packages/simulator/samples'];
/** Packages that only the simulator is made of. It forgets its scans when it is started anew. */
const SIMULATOR_ONLY = new Set(['packages/simulator']);
const NOT_RUNNING = new Set(['packages/testkit']);

const say = (line) => process.stderr.write(`[dev] ${line}\n`);

/** A service as a process group of its own: Ctrl-C reaches us only, and we end them in order. It ends when we do. */
function start(name, args, env) {
  const child = spawn(process.execPath, [join(root, 'apps/cli/bin/scanmq.js'), name, ...args], {
    cwd: root,
    env,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    detached: true,
  });
  const ended = once(child, 'exit');
  const runs = () => child.exitCode === null && child.signalCode === null;
  const service = {
    name,
    async stop() {
      service.stopping = true;
      if (!runs()) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await ended;
      clearTimeout(timer);
    },
    stopping: false,
  };
  void ended.then(([code, signal]) => {
    if (!service.stopping)
      say(`${name} ended by itself (${signal ?? code}); it is started again with the next build`);
  });
  return service;
}

/** Builds what has changed, as a process group: on some releases of Node, the compiler is a child of what we start. */
function compile() {
  const child = spawn(
    process.execPath,
    [join(root, 'node_modules/typescript/bin/tsc'), '-b', 'tsconfig.build.json', '--pretty', 'false'],
    { cwd: root, stdio: ['ignore', 'pipe', 'inherit'], detached: true },
  );
  const ended = once(child, 'close');
  let found = 0;
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (!/ error TS\d+/.test(line)) return;
    found++;
    say(line);
  });
  return {
    errors: ended.then(([code]) => (code === 0 ? 0 : Math.max(found, 1))),
    /** What is half built, is built anew the next time. */
    async stop() {
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch (error) {
        if (error.code !== 'ESRCH') throw error;
      }
      await ended;
    },
  };
}

function sourceFolders() {
  return ['packages', 'apps'].flatMap((parent) =>
    readdirSync(join(root, parent))
      .map((name) => `${parent}/${name}/src`)
      .filter((folder) => existsSync(join(root, folder))),
  );
}

/** When the newest file of each package was written, as a text that is compared. */
function fingerprints() {
  const found = new Map();
  for (const parent of ['packages', 'apps'])
    for (const name of readdirSync(join(root, parent)))
      found.set(
        `${parent}/${name}`,
        ['dist', 'lua', 'samples'].map((folder) => newest(join(root, parent, name, folder))).join(),
      );
  return found;
}

function newest(folder) {
  if (!existsSync(folder)) return 0;
  let latest = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    // the compiler writes down what it has done, also when that is nothing
    if (!entry.isFile() || entry.name.endsWith('.tsbuildinfo')) continue;
    latest = Math.max(latest, statSync(join(entry.parentPath ?? entry.path, entry.name)).mtimeMs);
  }
  return latest;
}

async function main() {
  const setup = spawnSync(process.execPath, [join(root, 'scripts/setup.mjs')], {
    cwd: root,
    stdio: 'inherit',
  });
  if (setup.status !== 0) return setup.status ?? 1;
  process.chdir(root);

  const stopped = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stopped.abort());

  const directory = await mkdtemp(join(tmpdir(), 'scanmq-dev-'));
  const { startLocalRedis } = await import(
    pathToFileURL(join(root, 'packages/local-redis/dist/index.js')).href
  );
  const { keepCertificate } = await import(
    pathToFileURL(join(root, 'packages/simulator/dist/index.js')).href
  );
  // before anything starts that trusts it
  await keepCertificate(directory);
  const redis = process.env.REDIS_URL ? undefined : await startLocalRedis({});
  const ports = {
    simulator: Number(process.env.SIMULATOR_PORT ?? 8834),
    control: Number(process.env.SIMULATOR_CONTROL_PORT ?? 8833),
  };
  const env = {
    // a terminal is read by people
    LOG_LEVEL: 'debug',
    POLL_INTERVAL_SECONDS: '2',
    // a scanner of one's own, where one is named
    ...(process.env.NESSUS_URL || existsSync(join(root, 'config/scanners.yaml'))
      ? {}
      : {
          NESSUS_URL: `https://127.0.0.1:${ports.simulator}`,
          NESSUS_USERNAME: 'simulator',
          NESSUS_PASSWORD: PASSWORD,
          NESSUS_CA_FILE: join(directory, 'certificate.pem'),
        }),
    DATA_DIR: join(directory, 'tasks'),
    ...process.env,
    REDIS_URL: redis?.url ?? process.env.REDIS_URL,
  };

  const running = new Map();
  const begin = {
    simulator: () =>
      start(
        'simulator',
        [
          '--port',
          ports.simulator,
          '--control-port',
          ports.control,
          '--password',
          PASSWORD,
          '--certificate-dir',
          directory,
        ].map(String),
        env,
      ),
    gateway: () => start('gateway', [], env),
    worker: () => start('worker', [], env),
  };
  // what runs is what the compiler wrote: a bundle would have to be made anew with each change
  rmSync(join(root, 'apps/cli/dist/bundle'), { recursive: true, force: true });
  let before = fingerprints();
  let work = Promise.resolve();
  /** Starts these anew, one such change after the other. */
  const restart = (names) => {
    work = work.then(async () => {
      await Promise.all(names.map((name) => running.get(name)?.stop()));
      if (stopped.signal.aborted) return;
      for (const name of names) running.set(name, begin[name]());
    });
  };
  const look = () => {
    const now = fingerprints();
    const changed = [...now].filter(([name, value]) => before.get(name) !== value).map(([name]) => name);
    before = now;
    const counted = changed.filter((name) => !NOT_RUNNING.has(name));
    if (counted.length === 0) return;
    const names = counted.every((name) => SIMULATOR_ONLY.has(name))
      ? ['simulator']
      : ['gateway', 'worker', ...(counted.some((name) => SIMULATOR_ONLY.has(name)) ? ['simulator'] : [])];
    say(`changed: ${counted.join(', ')}; starting ${names.join(' and ')} again`);
    restart(names);
  };

  // one build after the other; what changes meanwhile is built after it. Not the compiler's own watching, which misses what
  // changes while it begins
  let compiler;
  let wanted = false;
  const build = async () => {
    wanted = true;
    if (compiler) return;
    while (wanted && !stopped.signal.aborted) {
      wanted = false;
      compiler = compile();
      const errors = await compiler.errors;
      if (stopped.signal.aborted) break;
      if (errors === 0) look();
      else say(`${errors} errors: what runs stays as it is`);
    }
    compiler = undefined;
  };
  let timer;
  const watchers = [...sourceFolders(), ...READ_AS_THEY_ARE].map((folder) =>
    watch(join(root, folder), { recursive: true }, () => {
      clearTimeout(timer);
      timer = setTimeout(() => void build(), SETTLE_MS);
    }),
  );
  say('the sources are watched');

  restart(['simulator', 'gateway', 'worker']);
  say(
    `gateway http://127.0.0.1:${env.PORT ?? 8835}, simulator https://127.0.0.1:${ports.simulator}; Ctrl-C ends it`,
  );
  await new Promise((resolve) => stopped.signal.addEventListener('abort', resolve));

  clearTimeout(timer);
  for (const watcher of watchers) watcher.close();
  await compiler?.stop();
  await work;
  // workers first, so that they can still hand over; Redis last
  for (const name of ['worker', 'gateway', 'simulator']) await running.get(name)?.stop();
  await redis?.stop();
  await rm(directory, { recursive: true, force: true });
  say('stopped; nothing is left running');
  return 0;
}

process.exitCode = await main();
