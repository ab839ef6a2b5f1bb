// Makes a fresh clone ready: dependencies, build, redis-server. Uses Node's own modules only, since nothing is
// installed when it runs. Does nothing, quickly, when all is there.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);

const say = (line) => process.stderr.write(`[setup] ${line}\n`);
const fail = (line) => {
  say(line);
  process.exit(1);
};

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19))
  fail(`Node ${process.versions.node} is too old: scanmq needs 20.19 or newer (https://nodejs.org).`);

function run(command, args, options = {}) {
  return spawnSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
    ...options,
  });
}

function runOrFail(what, command, args, options) {
  const result = run(command, args, options);
  if (result.status === 0) return;
  process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  fail(`${what} failed (${command} ${args.join(' ')}): see above.`);
}

/** npm as it was used to start us, or the one on PATH. */
function npm(args) {
  const script = process.env.npm_execpath;
  return script?.endsWith('.js') ? [process.execPath, [script, ...args]] : ['npm', args];
}

function installDependencies() {
  const stamp = join('node_modules', '.scanmq-lock-hash');
  const hash = createHash('sha256')
    .update(readFileSync('package-lock.json'))
    .update(process.versions.modules)
    .digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return;
  say('installing dependencies (npm ci) …');
  runOrFail(
    'installing dependencies',
    ...npm(['ci', '--no-audit', '--no-fund', '--ignore-scripts', '--include=dev']),
  );
  writeFileSync(stamp, hash);
}

function build() {
  // incremental: takes a moment when nothing has changed
  runOrFail('the build', process.execPath, [
    join('node_modules', 'typescript', 'bin', 'tsc'),
    '-b',
    'tsconfig.build.json',
  ]);
}

const isThere = (program) => run('sh', ['-c', `command -v ${program}`]).status === 0;

function installRedis() {
  if (process.env.REDIS_URL || isThere('redis-server')) return;
  const asRoot =
    process.getuid?.() === 0
      ? []
      : isThere('sudo') && run('sudo', ['-n', 'true']).status === 0
        ? ['sudo', '-n']
        : undefined;
  if (isThere('apt-get') && asRoot) {
    say('installing redis-server (apt-get) …');
    const apt = [...asRoot, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-q', '-y'];
    const [command = '', ...args] = apt;
    run(command, [...args, 'update']);
    runOrFail('installing redis-server', command, [
      ...args,
      'install',
      '--no-install-recommends',
      'redis-server',
    ]);
  } else if (isThere('brew')) {
    say('installing redis (Homebrew) …');
    runOrFail('installing redis', 'brew', ['install', 'redis']);
  }
  if (!isThere('redis-server')) {
    fail(
      'redis-server is not installed, and this user may not install it. Debian or Ubuntu: "sudo apt-get install redis-server"; macOS: "brew install redis"; or set REDIS_URL to a Redis that you have. Then run the command again.',
    );
  }
}

/** Two set-ups at once would trip over each other in node_modules. */
function withLock(work) {
  const lock = join(root, '.setup-lock');
  const giveUpAt = Date.now() + 10 * 60_000;
  for (;;) {
    try {
      mkdirSync(lock);
      writeFileSync(join(lock, 'pid'), String(process.pid));
      break;
    } catch {
      if (!holderIsAlive(join(lock, 'pid'))) rmSync(lock, { recursive: true, force: true });
      else if (Date.now() > giveUpAt)
        fail(`another set-up has been running for ten minutes; if it is not, remove ${lock}`);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
    }
  }
  process.on('exit', () => rmSync(lock, { recursive: true, force: true }));
  work();
}

function holderIsAlive(pidFile) {
  try {
    process.kill(Number(readFileSync(pidFile, 'utf8')), 0);
    return true;
  } catch {
    return false;
  }
}

withLock(() => {
  installDependencies();
  build();
  installRedis();
});
