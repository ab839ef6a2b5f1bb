/** Submissions as a careful client makes them: with an idempotency key, repeated until they are acknowledged. */

const GIVE_UP_MS = 120_000;
const PAUSE_MS = 200;
const ANSWER_MS = 10_000;

/** @returns the acknowledged task, when it was acknowledged, and how often it was asked for. */
export async function submitUntilAcknowledged(url, index) {
  const giveUpAt = Date.now() + GIVE_UP_MS;
  let last;
  for (let tries = 1; ; tries += 1) {
    try {
      const answer = await fetch(`${url}/api/v1/scans`, {
        method: 'POST',
        // a connection of its own: the next one may go to another gateway
        headers: {
          'content-type': 'application/json',
          'idempotency-key': `load-${index}`,
          connection: 'close',
        },
        body: JSON.stringify({
          targets: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
          name: `load ${index}`,
        }),
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      const body = await answer.json();
      if (answer.status === 202) return { index, taskId: body.task_id, atMs: Date.now(), tries };
      // anything but "not now" would not get better
      last = body.detail;
      if (answer.status !== 503)
        throw new Error(`submission ${index} answered ${answer.status}: ${body.detail}`);
    } catch (error) {
      if (String(error.message).startsWith('submission')) throw error;
      last = error.message;
    }
    if (Date.now() > giveUpAt)
      throw new Error(`submission ${index} was not acknowledged within ${GIVE_UP_MS} ms: ${last}`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

/**
 * Makes submissions, several at a time.
 * @param onAcknowledged told of each, with how many there are; may do something that takes time meanwhile.
 */
export async function submitMany({ url, count, atOnce, onAcknowledged }) {
  const acknowledged = [];
  let next = 0;
  const client = async () => {
    while (next < count) {
      next += 1;
      const one = await submitUntilAcknowledged(url, next);
      acknowledged.push(one);
      onAcknowledged?.(acknowledged.length, one);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, client));
  return acknowledged;
}

/** All tasks that the service lists. */
export async function listTasks(url) {
  const tasks = [];
  let cursor = '';
  for (;;) {
    const answer = await fetch(`${url}/api/v1/scans?limit=100${cursor}`, {
      headers: { connection: 'close' },
    });
    if (answer.status !== 200) throw new Error(`the list answered ${answer.status}`);
    const page = await answer.json();
    tasks.push(...page.tasks);
    if (page.next_cursor === null) return tasks;
    cursor = `&cursor=${encodeURIComponent(page.next_cursor)}`;
  }
}

/** Waits until a condition holds. @returns undefined when it does not in time. */
export async function until(look, timeoutMs) {
  const giveUpAt = Date.now() + timeoutMs;
  while (Date.now() < giveUpAt) {
    const found = await Promise.resolve(look()).catch(() => undefined);
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return undefined;
}
