import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type CreatedWebhook,
  createWebhookSchema,
  type Delivery,
  type DeliveryAttempt,
  LIMITS,
  scanRequestSchema,
  type TaskState,
  type TransitionCause,
  toWebhookSecret,
  type Webhook,
} from '@scanmq/contract';
import { openTestQueue, until } from '@scanmq/testkit';
import {
  type QueueSystem,
  type WebhookJob,
  type WebhookReader,
  type WebhookViewer,
  webhookJobSchema,
} from './index.js';

const ALICE: WebhookViewer = { principal: 'alice', all: false };
const BOB: WebhookViewer = { principal: 'bob', all: false };
const ADMIN: WebhookViewer = { principal: 'admin', all: true };

let directory: string;
let queue: QueueSystem;
let readers: WebhookReader[] = [];
let gaps: string[] = [];
let clockAheadMs = 0;

async function open(credentialsKey: Buffer | undefined): Promise<QueueSystem> {
  return await openTestQueue({
    directory,
    settings: { credentialsKey },
    now: () => new Date(Date.now() + clockAheadMs),
  });
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scanmq-webhooks-'));
});
afterAll(async () => await rm(directory, { recursive: true, force: true }));
beforeEach(async () => {
  clockAheadMs = 0;
  gaps = [];
  queue = await open(randomBytes(32));
});
afterEach(async () => {
  await Promise.all(readers.map((reader) => reader.close()));
  readers = [];
  await queue.close();
});

function read(system = queue): WebhookReader {
  const reader = system.readWebhooks({
    onGap: (position) => gaps.push(position),
    onError: (error) => {
      throw error;
    },
  });
  readers.push(reader);
  return reader;
}
const create = (
  by: WebhookViewer = ALICE,
  changes: Partial<ReturnType<typeof createWebhookSchema.parse>> = {},
): Promise<CreatedWebhook> =>
  queue.webhooks.create(
    { ...createWebhookSchema.parse({ url: 'https://ci.example.com/hook', events: ['*'] }), ...changes },
    by,
  );
const submit = async (principal = 'alice'): Promise<string> => {
  const { task } = await queue.submit(
    scanRequestSchema.parse({ targets: '192.0.2.1', name: 'test' }),
    { scannerType: 'nessus', pool: 'nessus', pinnedInstance: null },
    { principal },
  );
  return task.task_id;
};
const go = async (taskId: string, to: TaskState, cause: TransitionCause = 'progress') =>
  await queue.tasks.transition(taskId, to, {}, { cause });
const log = async (id: string, by = ALICE): Promise<Delivery[]> =>
  (await queue.webhookDeliveries.list(id, { limit: 100 }, by)).deliveries.reverse();
const types = async (id: string, by = ALICE): Promise<string[]> =>
  (await log(id, by)).map(({ type }) => type);
const jobs = async (): Promise<WebhookJob[]> =>
  (await queue.queues.webhooks.getJobs(['waiting', 'delayed'])).map(({ data }) =>
    webhookJobSchema.parse(data),
  );
/** Waits until webhooks were told of everything that is in the log of changes. */
const told = async (system = queue): Promise<void> => {
  await until(
    'webhooks are told',
    async () => (await system.redis.get(system.keys.webhookPosition)) === (await system.log.end()),
  );
};

describe('a webhook', () => {
  it('is told of each change of a task, in words that tell a retry from a new attempt', async () => {
    read();
    const { webhook_id: id } = await create();
    const taskId = await submit();
    for (const state of ['running', 'queued', 'running', 'failed'] as const) await go(taskId, state);
    await go(taskId, 'queued', 'retry');
    await go(taskId, 'cancelled');
    await told();
    expect(
      (await log(id)).map(({ type, payload }) =>
        payload.type === 'ping' ? [] : [type, payload.data.previous_status, payload.data.status],
      ),
    ).toEqual([
      ['scan.queued', null, 'queued'],
      ['scan.started', 'queued', 'running'],
      ['scan.requeued', 'running', 'queued'],
      ['scan.started', 'queued', 'running'],
      ['scan.failed', 'running', 'failed'],
      ['scan.retried', 'failed', 'queued'],
      ['scan.cancelled', 'queued', 'cancelled'],
    ]);
    const all = await jobs();
    expect(all).toHaveLength(7);
    expect(new Set(all.map(({ message_id }) => message_id)).size).toBe(7);
  });

  it('is told of what it chose, from its creation on', async () => {
    read();
    const taskId = await submit();
    await go(taskId, 'running');
    const ends = await create(ALICE, { events: ['scan.completed', 'scan.failed'] });
    const everything = await create();
    await go(taskId, 'queued');
    await go(taskId, 'running');
    await go(taskId, 'completed');
    await told();
    expect(await types(ends.webhook_id)).toEqual(['scan.completed']);
    expect(await types(everything.webhook_id)).toEqual(['scan.requeued', 'scan.started', 'scan.completed']);
  });

  it('is told of the tasks of its principal only, unless it is for all and may be', async () => {
    read();
    const alices = await create(ALICE);
    const bobs = await create(BOB);
    const admins = await create(ADMIN);
    const everybodys = await create(ADMIN, { audience: 'all' });
    await expect(create(ALICE, { audience: 'all' })).rejects.toMatchObject({ code: 'forbidden' });
    const ofAlice = await submit('alice');
    const ofBob = await submit('bob');
    await told();
    const tasks = async (id: string) => (await log(id, ADMIN)).map(({ task_id }) => task_id);
    expect(await tasks(alices.webhook_id)).toEqual([ofAlice]);
    expect(await tasks(bobs.webhook_id)).toEqual([ofBob]);
    expect(await tasks(admins.webhook_id)).toEqual([]);
    expect(await tasks(everybodys.webhook_id)).toEqual([ofAlice, ofBob]);
  });

  it('of another principal answers like none', async () => {
    const { webhook_id: id } = await create(ALICE);
    const { delivery_id: delivery } = await queue.webhookDeliveries.ping(id, ALICE);
    const { webhooks, webhookDeliveries } = queue;
    for (const attempt of [
      () => webhooks.get(id, BOB),
      () => webhooks.enable(id, BOB),
      () => webhookDeliveries.removeWebhook(id, BOB),
      () => webhookDeliveries.ping(id, BOB),
      () => webhookDeliveries.list(id, { limit: 10 }, BOB),
      () => webhookDeliveries.replay(id, delivery, BOB),
    ])
      await expect(attempt()).rejects.toMatchObject({
        code: 'not_found',
        message: `There is no webhook ${id}.`,
      });
    expect(await webhooks.list(BOB)).toEqual([]);
    expect((await webhooks.list(ADMIN)).map(({ webhook_id }) => webhook_id)).toEqual([id]);
  });

  it('keeps its secret sealed, and needs a key for that', async () => {
    const secret = toWebhookSecret(randomBytes(32));
    const made = await create(ALICE, { secret });
    expect(made.secret).toBe(secret);
    expect(await queue.webhooks.openSecret(made.webhook_id)).toBe(secret);
    expect(
      JSON.stringify([await queue.webhooks.list(ALICE), await queue.webhooks.get(made.webhook_id, ALICE)]),
    ).not.toContain(secret.slice(6));
    const held = await queue.redis.get(queue.keys.webhookSecret(made.webhook_id));
    expect(held).not.toContain(secret.slice(6));
    const [first, second] = [await create(), await create()];
    expect(first.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(first.secret).not.toBe(second.secret);
    // a sealed secret does not open in another place
    await queue.redis.copy(
      queue.keys.webhookSecret(first.webhook_id),
      queue.keys.webhookSecret(second.webhook_id),
      'REPLACE',
    );
    await expect(queue.webhooks.openSecret(second.webhook_id)).rejects.toMatchObject({ code: 'internal' });

    const keyless = await open(undefined);
    try {
      await expect(
        keyless.webhooks.create(
          createWebhookSchema.parse({ url: 'https://ci.example.com/', events: ['*'] }),
          ALICE,
        ),
      ).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringContaining('CREDENTIALS_KEY'),
      });
    } finally {
      await keyless.close();
    }
  });

  it('is one of a limited number', async () => {
    for (let made = 0; made < LIMITS.webhooksPerPrincipal; made += 1) await create();
    await expect(create()).rejects.toMatchObject({ code: 'invalid_state' });
    await create(BOB);
  });
});

describe('telling webhooks', () => {
  it('happens once, however many read and however often one begins again', async () => {
    const { webhook_id: id } = await create();
    const taskIds = await Promise.all(Array.from({ length: 30 }, () => submit()));
    for (let reader = 0; reader < 4; reader += 1) read();
    for (const taskId of taskIds) await go(taskId, 'running');
    await told();
    expect(await jobs()).toHaveLength(60);

    // somebody crashed before the position was noted, after the jobs were made and some had ended
    await Promise.all(readers.splice(0).map((reader) => reader.close()));
    const [done] = await queue.queues.webhooks.getJobs(['waiting']);
    if (!done) throw new Error('no job');
    await queue.webhookDeliveries.noteAttempt(
      webhookJobSchema.parse(done.data),
      succeeded(),
      { outcome: 'delivered' },
      1_000,
    );
    await done.remove();
    await queue.redis.del(queue.keys.webhookPosition);
    read();
    await told();
    const after = await jobs();
    expect(after).toHaveLength(59);
    expect(new Set(after.map(({ message_id }) => message_id)).size).toBe(59);
    expect((await log(id)).filter(({ status }) => status === 'delivered')).toHaveLength(1);
  });

  it('makes the job of a delivery that was noted by one who crashed right then', async () => {
    const { webhook_id: id } = await create();
    await submit();
    const reader = read();
    await told();
    await reader.close();
    const [job] = await queue.queues.webhooks.getJobs(['waiting']);
    await job?.remove();
    await queue.redis.del(queue.keys.webhookPosition);
    read();
    await told();
    expect((await jobs()).map(({ webhook_id }) => webhook_id)).toEqual([id]);
  });

  it('goes on in another process when the first gives up its turn', async () => {
    const { webhook_id: id } = await create();
    const first = read();
    await submit();
    await told();
    await first.close();
    await submit();
    read();
    await told();
    expect(await types(id)).toEqual(['scan.queued', 'scan.queued']);
  });

  it('says so where the log was cut before it was read, and goes on with what is left', async () => {
    const reader = read();
    const { webhook_id: id } = await create();
    const taskId = await submit();
    await told();
    await reader.close();
    await go(taskId, 'running');
    await go(taskId, 'completed');
    await queue.redis.xtrim(queue.keys.log, 'MAXLEN', 1);
    read();
    await told();
    expect(gaps).toHaveLength(1);
    // of what was before it is not sure any more
    expect((await log(id)).at(-1)).toMatchObject({
      type: 'scan.completed',
      payload: { data: { previous_status: null } },
    });
    expect(await types(id)).toEqual(['scan.queued', 'scan.completed']);
  });
});

const succeeded = (): DeliveryAttempt => ({
  at: new Date().toISOString(),
  status_code: 200,
  error: null,
  duration_ms: 3,
  answer_bytes: 0,
});
const failed = (status: number | null = 500): DeliveryAttempt => ({
  ...succeeded(),
  status_code: status,
  error: status === null ? 'timeout' : 'status',
});

describe('a webhook that fails', () => {
  const HOUR_MS = 3_600_000;
  let webhook: Webhook;
  const ping = async (): Promise<WebhookJob> => {
    const { delivery_id } = await queue.webhookDeliveries.ping(webhook.webhook_id, ALICE);
    const job = await queue.queues.webhooks.getJob(delivery_id);
    return webhookJobSchema.parse(job?.data);
  };
  const look = (): Promise<Webhook> => queue.webhooks.get(webhook.webhook_id, ALICE);
  beforeEach(async () => {
    webhook = await create();
  });

  it('is disabled after many deliveries in a row were given up; one success begins the count anew', async () => {
    const giveUp = async () =>
      await queue.webhookDeliveries.noteAttempt(await ping(), failed(), { outcome: 'failed' }, HOUR_MS);
    for (let n = 1; n < LIMITS.webhookFailedDeliveries; n += 1) expect(await giveUp()).toBe('noted');
    await queue.webhookDeliveries.noteAttempt(await ping(), succeeded(), { outcome: 'delivered' }, HOUR_MS);
    expect(await look()).toMatchObject({ disabled: null, failing_since: null, consecutive_failures: 0 });
    for (let n = 1; n < LIMITS.webhookFailedDeliveries; n += 1) expect(await giveUp()).toBe('noted');
    expect(await giveUp()).toBe('disabled');
    expect(await look()).toMatchObject({ disabled: { reason: 'deliveries_failed' } });
  });

  it('is disabled when it has only failed for too long', async () => {
    const tryOne = async () =>
      await queue.webhookDeliveries.noteAttempt(
        await ping(),
        failed(null),
        { outcome: 'retry', nextAt: new Date() },
        HOUR_MS,
      );
    expect(await tryOne()).toBe('noted');
    clockAheadMs = HOUR_MS - 10_000;
    expect(await tryOne()).toBe('noted');
    clockAheadMs = HOUR_MS + 10_000;
    expect(await tryOne()).toBe('disabled');
    expect(await look()).toMatchObject({ disabled: { reason: 'failing_too_long' } });
  });

  it('is disabled at once when its receiver is gone, is told nothing then, and goes on when it is enabled', async () => {
    read();
    const job = await ping();
    expect(await queue.webhookDeliveries.noteAttempt(job, failed(410), { outcome: 'gone' }, HOUR_MS)).toBe(
      'disabled',
    );
    const taskId = await submit();
    await told();
    expect(await log(webhook.webhook_id)).toMatchObject([
      { type: 'ping', status: 'failed', attempts: [{ status_code: 410 }] },
      { type: 'scan.queued', status: 'skipped', skipped_because: 'disabled', task_id: taskId },
    ]);
    await expect(ping()).rejects.toMatchObject({
      code: 'invalid_state',
      message: expect.stringContaining('410'),
    });
    expect(await queue.webhooks.enable(webhook.webhook_id, ALICE)).toMatchObject({
      disabled: null,
      failing_since: null,
      consecutive_failures: 0,
    });
    const skipped = (await log(webhook.webhook_id)).at(-1);
    const replay = await queue.webhookDeliveries.replay(
      webhook.webhook_id,
      skipped?.delivery_id ?? '',
      ALICE,
    );
    expect(replay).toMatchObject({
      message_id: skipped?.message_id,
      replay_of: skipped?.delivery_id,
      status: 'pending',
      payload: skipped?.payload,
    });
    expect(replay.delivery_id).not.toBe(skipped?.delivery_id);
    await go(taskId, 'running');
    await told();
    expect((await log(webhook.webhook_id)).at(-1)).toMatchObject({
      type: 'scan.started',
      status: 'pending',
    });
  });
});

describe('the log of deliveries', () => {
  it('remembers the last ones, page by page', async () => {
    const { webhook_id: id } = await create();
    const made: string[] = [];
    for (let n = 0; n < LIMITS.webhookLog + 5; n += 1)
      made.push((await queue.webhookDeliveries.ping(id, ALICE)).delivery_id);
    const found: string[] = [];
    for (let cursor: string | undefined; ; ) {
      const page = await queue.webhookDeliveries.list(
        id,
        { limit: 30, ...(cursor === undefined ? {} : { cursor }) },
        ALICE,
      );
      expect(page.total).toBe(LIMITS.webhookLog);
      found.push(...page.deliveries.map(({ delivery_id }) => delivery_id));
      if (page.next_cursor === null) break;
      cursor = page.next_cursor;
    }
    expect(new Set(found).size).toBe(LIMITS.webhookLog);
    expect(found).toHaveLength(LIMITS.webhookLog);
    // within one millisecond they come in the order of their ids
    expect(found.filter((one) => made.slice(-50).includes(one)).length).toBe(50);
    expect(await queue.redis.hlen(queue.keys.deliveryLog(id))).toBe(LIMITS.webhookLog);
    expect(await queue.redis.ttl(queue.keys.deliveryLog(id))).toBeGreaterThan(86_400);
    await expect(
      queue.webhookDeliveries.list(id, { limit: 10, cursor: 'bm90IG91cnM' }, ALICE),
    ).rejects.toMatchObject({ code: 'invalid_request' });
  });

  it('goes with its webhook, and so does whatever waits', async () => {
    const kept = await create();
    const removed = await create();
    for (const { webhook_id } of [kept, removed, removed])
      await queue.webhookDeliveries.ping(webhook_id, ALICE);
    const late = (await jobs()).find(({ webhook_id }) => webhook_id === removed.webhook_id);
    await queue.webhookDeliveries.removeWebhook(removed.webhook_id, ALICE);
    expect((await jobs()).map(({ webhook_id }) => webhook_id)).toEqual([kept.webhook_id]);
    // one that was being sent in this moment leaves nothing behind
    if (!late) throw new Error('no job');
    expect(await queue.webhookDeliveries.noteAttempt(late, failed(), { outcome: 'failed' }, 1)).toBe(
      'missing',
    );
    const ping = {
      type: 'ping',
      version: 1,
      timestamp: new Date().toISOString(),
      data: { webhook_id: removed.webhook_id },
    } as const;
    await queue.webhookDeliveries.tell(removed.webhook_id, '1-0', ping, '0'.repeat(32));
    const left = await queue.redis.keys(`${queue.prefix}:*${removed.webhook_id}*`);
    expect(left).toEqual([]);
    expect(await queue.redis.keys(`${queue.prefix}:*${kept.webhook_id}*`)).not.toEqual([]);
    expect(await jobs()).toHaveLength(1);
  });

  it('is bounded in what waits as well', async () => {
    const { webhook_id: id } = await create();
    const waiting = Array.from({ length: LIMITS.webhookWaiting }, (_, n) => `dlv_${n}`);
    await queue.redis.sadd(queue.keys.deliveriesWaiting(id), ...waiting);
    await expect(queue.webhookDeliveries.ping(id, ALICE)).rejects.toMatchObject({ code: 'rate_limited' });
    read();
    await submit();
    await told();
    expect((await log(id)).at(-1)).toMatchObject({ status: 'skipped', skipped_because: 'too_many_waiting' });
    expect(await jobs()).toEqual([]);
  });
});
