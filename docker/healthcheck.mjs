// What HEALTHCHECK runs: asks the service of this container, which its argument names, or the command of the container's
// first process. Ends with 0 when it is ready, or when the command is none that listens. Node's own modules only.
import { readFileSync } from 'node:fs';
import { request } from 'node:http';

const loopback = !process.env.HOST || ['0.0.0.0', '::'].includes(process.env.HOST);
const host = loopback ? '127.0.0.1' : process.env.HOST;
const PLACES = {
  gateway: { host, port: process.env.PORT || 8835, path: '/health/ready' },
  worker: { host, port: process.env.WORKER_PORT || 8836, path: '/health/ready' },
  // the simulator is reachable from its own machine only
  simulator: { host: '127.0.0.1', port: 8833, path: '/control' },
};
/** Shorter than the time limit of HEALTHCHECK, so that the reason is told. */
const TIMEOUT_MS = 4_000;

function commandOfContainer() {
  const words = readFileSync('/proc/1/cmdline', 'utf8').split('\0');
  return words.find((word) => Object.hasOwn(PLACES, word));
}

function end(code, line) {
  process.stdout.write(`${line}\n`);
  process.exit(code);
}

const service = process.argv[2] ?? commandOfContainer();
const place = PLACES[service];
if (place === undefined) end(0, 'no service that listens');
const asked = request({ ...place, timeout: TIMEOUT_MS }, (answer) => {
  answer.resume();
  end(answer.statusCode === 200 ? 0 : 1, `${service}: ${answer.statusCode}`);
});
asked.on('timeout', () => end(1, `${service}: no answer within ${TIMEOUT_MS / 1000} s`));
asked.on('error', (error) => end(1, `${service}: ${error.code ?? error.message}`));
asked.end();
