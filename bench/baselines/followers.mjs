/**
 * Follows scans by Server-Sent Events: node followers.mjs URL CLIENTS SECONDS TASK… Says `open` when all of them are
 * followed; after so many seconds, one line of JSON: how old events were when they came, how many did, and how many
 * streams failed or ended before their task.
 */
import { once } from 'node:events';
import { Agent, get } from 'node:http';
import { percentile } from '../harness.mjs';

const [, , url, clientsText, secondsText, ...taskIds] = process.argv;
const clients = Number(clientsText);
const agent = new Agent({ maxSockets: Number.POSITIVE_INFINITY });
const ages = [];
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
  answer.once('close', () => {
    if (last !== 'completed') failed += 1;
  });
}

const opened = await Promise.allSettled(
  Array.from({ length: clients }, (_, index) => follow(taskIds[index % taskIds.length])),
);
failed += opened.filter(({ status }) => status === 'rejected').length;
process.stdout.write('open\n');
await new Promise((resolve) => setTimeout(resolve, Number(secondsText) * 1_000));
const line = `${JSON.stringify({
  events: ages.length,
  failed,
  p50: percentile(ages, 0.5),
  p99: percentile(ages, 0.99),
  max: percentile(ages, 1),
})}\n`;
// streams that are still open are no failure
process.stdout.write(line, () => process.exit());
