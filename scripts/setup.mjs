// Makes a fresh clone ready: dependencies, build, redis-server, and with --browser the Chromium of the tests. Uses Node's
// own modules only, since nothing is installed when it runs. Does nothing, quickly, when all is there.
import { spawnSync } from 'node:child_process';
import { existsSync, linkSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);

const say = (line) => process.stderr.write(`[setup] ${line}\n`);
const fail = (line) => {
  say(line);
  process.exit(1);
};

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19))
    fail(`Node ${process.versions.node} is too old: scanmq needs 20.19 or newer (https://nodejs.org).`);
}

function run(command, args) {
  return spawnSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
  });
}

function runOrFail(what, command, args) {
  const result = run(command, args);
  if (result.status === 0) return;
  process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  const why = result.error?.message ?? result.signal ?? `exit code ${result.status}`;
  fail(`${what} failed (${command} ${args.join(' ')}: ${why}); its output is above.`);
}

function installDependencies() {
  // written by npm at the very end of an installation
  const installed = modifiedAt(join('node_modules', '.package-lock.json'));
  // two seconds: `npm install` writes both files, in either order
  if (installed !== undefined && installed >= (modifiedAt('package-lock.json') ?? 0) - 2_000) return;
  say('installing dependencies (npm ci) …');
  const args = ['ci', '--no-audit', '--no-fund', '--ignore-scripts', '--include=dev'];
  // the npm that started us, where one did
  const script = process.env.npm_execpath;
  if (script?.endsWith('.js')) runOrFail('Installing dependencies', process.execPath, [script, ...args]);
  else runOrFail('Installing dependencies', 'npm', args);
}

function modifiedAt(path) {
  return existsSync(path) ? statSync(path).mtimeMs : undefined;
}

function build() {
  const first = !existsSync(join('apps', 'cli', 'dist'));
  if (first) say('building …');
  // incremental: takes a moment when nothing has changed
  runOrFail('The build', process.execPath, [
    join('node_modules', 'typescript', 'bin', 'tsc'),
    '-b',
    'tsconfig.build.json',
  ]);
  runOrFail('The bundle', process.execPath, [join('scripts', 'bundle.mjs')]);
}

const isThere = (program) => run('sh', ['-c', 'command -v "$0"', program]).status === 0;

function installRedis() {
  if (process.env.REDIS_URL || isThere('redis-server')) return;
  installProgram('redis-server', 'redis');
  if (!isThere('redis-server')) {
    fail(
      [
        'redis-server is missing, and could not be installed by this user. One of these helps:',
        '  Debian or Ubuntu:  sudo apt-get install redis-server',
        '  macOS:             brew install redis',
        '  a Redis you have:  export REDIS_URL=redis://host:6379',
        'Then run the same command again.',
      ].join('\n'),
    );
  }
}

/** For the tests of pages only: the service needs none. */
function installBrowser() {
  const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
  const applications = ['Chromium', 'Google Chrome'].map((name) => `/Applications/${name}.app`);
  const there = () =>
    process.env.CHROMIUM_PATH || names.some(isThere) || applications.some((path) => existsSync(path));
  if (there()) return;
  installProgram('chromium', undefined);
  if (there()) return;
  // everything else can be tested: the tests that need it fail, and say so
  say(
    [
      'Chromium is missing, and could not be installed by this user. The tests of pages will fail. One of these helps:',
      '  Debian:            sudo apt-get install chromium',
      '  macOS:             brew install --cask chromium',
      '  one you have:      export CHROMIUM_PATH=/path/to/chrome',
    ].join('\n'),
  );
}

/** Installs what a package manager has, where this user may: the caller looks whether it is there now. */
function installProgram(aptPackage, brewPackage) {
  const asRoot = rootCommand();
  if (isThere('apt-get') && asRoot !== undefined) {
    say(`installing ${aptPackage} (apt-get) …`);
    const [command, ...args] = [
      ...asRoot,
      'env',
      'DEBIAN_FRONTEND=noninteractive',
      // scanmq starts its own; invoke-rc.d starts no service in this run level
      'RUNLEVEL=1',
      'apt-get',
      '-q',
      '-y',
      // another apt may be at work on a machine that has just been started
      '-o',
      'DPkg::Lock::Timeout=120',
    ];
    // when this fails the lists may still be new enough; if not, the installation says so
    run(command, [...args, 'update']);
    const installed = run(command, [...args, 'install', '--no-install-recommends', aptPackage]);
    if (installed.status !== 0) process.stderr.write(`${installed.stdout ?? ''}${installed.stderr ?? ''}`);
  } else if (brewPackage !== undefined && isThere('brew')) {
    say(`installing ${brewPackage} (Homebrew) …`);
    const installed = run('brew', ['install', brewPackage]);
    if (installed.status !== 0) process.stderr.write(`${installed.stdout ?? ''}${installed.stderr ?? ''}`);
  }
}

/** What to put before a command so that it runs as root without asking; undefined when that is not permitted. */
function rootCommand() {
  if (process.getuid?.() === 0) return [];
  return isThere('sudo') && run('sudo', ['-n', 'true']).status === 0 ? ['sudo', '-n'] : undefined;
}

/** Two set-ups at once would trip over each other in node_modules: the second waits for the first, unless that is dead. */
function takeLock() {
  const lock = join(root, '.setup-lock');
  const own = `${lock}.${process.pid}`;
  const giveUpAt = Date.now() + 10 * 60_000;
  writeFileSync(own, String(process.pid));
  process.on('exit', () => {
    rmSync(own, { force: true });
    if (holder(lock) === process.pid) rmSync(lock, { force: true });
  });
  for (let told = false; ; ) {
    try {
      // the lock appears with its content, or not at all
      linkSync(own, lock);
      return;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const pid = holder(lock);
    if (pid !== undefined && !isAlive(pid)) {
      // of several that wait, one moves it away
      try {
        renameSync(lock, `${own}.stale`);
        // unless it is that of another who was faster, and gets it back
        if (holder(`${own}.stale`) !== pid) linkSync(`${own}.stale`, lock);
        rmSync(`${own}.stale`);
      } catch (error) {
        if (error.code !== 'ENOENT') throw error;
      }
      continue;
    }
    if (Date.now() > giveUpAt)
      fail(`Another set-up (process ${pid}) has been running for ten minutes. End it, and run this again.`);
    if (!told) say('waiting for another set-up to end …');
    told = true;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
  }
}

function holder(lock) {
  try {
    return Number(readFileSync(lock, 'utf8'));
  } catch {
    return undefined;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

checkNode();
takeLock();
installDependencies();
build();
installRedis();
if (process.argv.includes('--browser')) installBrowser();
