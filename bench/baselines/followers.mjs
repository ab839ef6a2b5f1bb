/**
 * Follows scans by Server-Sent Events: node followers.mjs URL CLIENTS TASK… Says `open` when all of them are followed;
 * when all streams have ended, one line of JSON: how old events were when they came, and how many did.
 */
import { once } from 'node:events';
import { Agent, get } from 'node:http';
import { percentile } from '../harness.mjs';

const [, , url, clientsText, ...taskIds] = process.argv;
const clients = Number(clientsText);
const agent = new Agent({ maxSockets: Number.POSITIVE_INFINITY });
const ages = [];
const ended = [];
let failed = 0;

async function follow(taskId) {
  const asked = get(`${url}/api/v1/scans/${taskId}/events`, { agent });
  const [answer] = await once(asked, 'response');
  if (answer.statusCode !== 200) throw new Error(`${taskId}: ${answer.statusCode}`);
  // what happened before is told again: that is no news
  const since = Date.now();
  let rest = '';
  let last = '';
  answer.setEncoding('utf8').on('data', (chunk) => {
    const now = Date.now();
    const lines = `${rest}${chunk}`.split('\n');
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith('data: ')) continue;
      const { at, status } = JSON.parse(line.slice(6));
      if (status !== undefined) last = status;
      const atMs = Date.parse(at);
      if (atMs >= since) ages.push(now - atMs);
    }
  });
  ended.push(
    once(answer, 'end').then(() => {
      if (last !== 'completed') failed += 1;
    }),
  );
}

const opened = await Promise.allSettled(
  Array.from({ length: clients }, (_, index) => follow(taskIds[index % taskIds.length])),
);
failed += opened.filter(({ status }) => status === 'rejected').length;
process.stdout.write('open\n');
await Promise.allSettled(ended);
process.stdout.write(
  `${JSON.stringify({
    events: ages.length,
    failed,
    p50: percentile(ages, 0.5),
    p99: percentile(ages, 0.99),
    max: percentile(ages, 1),
  })}\n`,
);
