/**
 * A day of the service, compressed: 300 tasks of three principals with mixed priorities, sizes and pins on five scanners,
 * of which one restarts, one is drained and one loses its licence; two workers are killed and one is rolled.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readScannersConfig, readSettings } from '@scanmq/config';
import {
  PRIORITIES,
  type Priority,
  type ScanStatus,
  scanRequestSchema,
  TASK_STATES,
  type TaskRecord,
} from '@scanmq/contract';
import { openQueueSystem, type QueueSystem } from '@scanmq/queue';
import { createDirectoryStore } from '@scanmq/store';
import { createService, type RunningProgram, restClient, type TestService, until } from '@scanmq/testkit';

const LIMITS = [2, 3, 3, 2, 4];
const SHARES = { alice: 3, bob: 2, carol: 1 };
type Principal = keyof typeof SHARES;
const PRINCIPALS = Object.keys(SHARES) as Principal[];
const TASKS_EACH = 100;
/** Bob may have no more scans at once, the plant network neither. */
const BOB_AT_ONCE = 4;
const PLANT_AT_ONCE = 2;

let service: TestService;
let api: ReturnType<typeof restClient>;
let queue: QueueSystem;
const workers: RunningProgram[] = [];

beforeAll(async () => {
  service = await createService({
    redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '',
    scanners: LIMITS.map((limit, index) => ({ limit, scanDurationMs: 200 + 150 * index, startDelayMs: 20 })),
    sections: {
      principals: {
        alice: { share: SHARES.alice },
        bob: { share: SHARES.bob, max_concurrent_scans: BOB_AT_ONCE },
        carol: { share: SHARES.carol },
      },
      target_limits: [{ name: 'plant', targets: '10.7.0.0/16', max_concurrent_scans: PLANT_AT_ONCE }],
    },
    env: {
      MAX_ATTEMPTS: '5',
      PRIORITY_AGEING_MINUTES: '60',
      POLL_INTERVAL_SECONDS: '0.2',
      // a worker that is rolled has all the time it needs
      SHUTDOWN_GRACE_SECONDS: '60',
    },
  });
  const settings = readSettings(service.env);
  queue = await openQueueSystem({
    settings,
    store: createDirectoryStore(settings.dataDir),
    role: 'worker',
    connectWaitMs: 60_000,
    onError: () => undefined,
    onWarning: () => undefined,
    onWaiting: () => undefined,
  });
  expect(readScannersConfig(settings, service.env).principalRules.get('alice')?.share).toBe(3);
  api = restClient((await service.startGateway()).url);
});
afterAll(async () => {
  await queue?.close();
  await service?.close();
});

interface Planned {
  readonly principal: Principal;
  readonly priority: Priority;
  readonly pin: string | null;
  readonly targets: string;
}

/** The same day each time: of each principal's tasks every tenth is high, every tenth low, every ninth pinned. */
function plan(principal: Principal, index: number): Planned {
  const priority = index % 10 === 3 ? 'high' : index % 10 === 7 ? 'low' : 'normal';
  return {
    principal,
    priority,
    pin: index % 9 === 4 ? `scanner${1 + (index % 3)}` : null,
    targets:
      index % 12 === 5 ? `10.7.${index}.1` : index % 7 === 2 ? `192.0.2.${index}/30` : `192.0.2.${index}`,
  };
}

const allRecords = async (): Promise<TaskRecord[]> =>
  (await queue.tasks.getMany(await queue.tasks.idsByCreation(undefined, 1_000))).filter(
    (task) => task !== undefined,
  );

describe('a day in the life of the service', () => {
  it('ends every task in its right state, within all limits, each scan launched once, in the shares that are configured', async () => {
    const planned = new Map<string, Planned>();
    // everything is there before the first worker is, so that the order is the service's own
    for (let index = 0; index < TASKS_EACH; index += 1) {
      for (const principal of PRINCIPALS) {
        const task = plan(principal, index);
        const { task: record } = await queue.submit(
          scanRequestSchema.parse({
            targets: task.targets,
            name: `${principal} ${index}`,
            priority: task.priority,
          }),
          { scannerType: 'nessus', pool: 'nessus', pinnedInstance: task.pin },
          { principal, share: SHARES[principal] },
        );
        planned.set(record.task_id, task);
      }
    }
    const cancelled = [...planned]
      .filter(([, task]) => task.pin === null)
      .slice(200, 205)
      .map(([taskId]) => taskId);
    workers.push(...(await Promise.all([1, 2, 3].map(() => service.startWorker()))));

    const limitsSeen = { bob: 0, plant: 0 };
    let watching = true;
    const watch = (async () => {
      while (watching) {
        const bound = await queue.redis.hkeys(queue.keys.bindings);
        const records = (await queue.tasks.getMany(bound)).filter((task) => task?.state === 'running');
        limitsSeen.bob = Math.max(limitsSeen.bob, records.filter((task) => task?.principal === 'bob').length);
        limitsSeen.plant = Math.max(
          limitsSeen.plant,
          records.filter((task) => task?.targets.startsWith('10.7.')).length,
        );
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    })();
    const ended = async (): Promise<number> =>
      (
        await Promise.all(
          (['completed', 'failed', 'cancelled', 'timeout'] as const).map((state) =>
            queue.tasks.countByState(state),
          ),
        )
      ).reduce((sum, count) => sum + count, 0);
    const atCount = async (
      count: number,
      what: string,
      act: () => Promise<unknown> | unknown,
    ): Promise<void> => {
      await until(`${count} tasks have ended, before ${what}`, async () => (await ended()) >= count, 300_000);
      await act();
    };
    const [, , restarts, , loses] = service.simulators;

    await atCount(60, 'the drain', () => api.call('POST', '/api/v1/scanners/scanner4/drain', {}));
    const startedEarly = (await allRecords()).filter((task) => task.started_at !== null);
    await atCount(80, 'the first worker dies', async () => {
      workers[0]?.kill('SIGKILL');
      workers.push(await service.startWorker());
    });
    for (const taskId of cancelled)
      await api.call('POST', `/api/v1/scans/${taskId}/cancel`, { reason: 'not today' });
    await atCount(110, 'the restart', () => restarts?.restart({ downMs: 1_500, loadingMs: 1_000 }));
    await atCount(140, 'the licence is lost', () => loses?.setProduct('professional'));
    await atCount(170, 'the second worker dies', async () => {
      workers[1]?.kill('SIGKILL');
      workers.push(await service.startWorker());
    });
    await atCount(200, 'the drain ends', () => api.call('POST', '/api/v1/scanners/scanner4/enable', {}));
    await atCount(220, 'a worker is rolled', async () => {
      workers.push(await service.startWorker());
      workers[2]?.kill('SIGTERM');
      expect((await workers[2]?.ended)?.code).toBe(0);
    });
    await until('all have ended', async () => (await ended()) === planned.size, 300_000);
    watching = false;
    await watch;

    const records = await allRecords();
    expect(records).toHaveLength(planned.size);
    const wrong = records
      .filter((task) => task.state !== (cancelled.includes(task.task_id) ? 'cancelled' : 'completed'))
      .map((task) => [task.task_id, task.state, task.error]);
    // one that had ended before it was cancelled stays completed
    expect(wrong.filter(([, state]) => state !== 'completed')).toEqual([]);

    expect(
      service.simulators.map((simulator, index) => simulator.stats().max_active_ever <= (LIMITS[index] ?? 0)),
    ).toEqual(LIMITS.map(() => true));
    expect(limitsSeen.bob).toBeLessThanOrEqual(BOB_AT_ONCE);
    expect(limitsSeen.plant).toBeLessThanOrEqual(PLANT_AT_ONCE);

    const scans = service.simulators.flatMap((simulator) => simulator.scans());
    expect(scans.filter((scan) => scan.launches > 1)).toEqual([]);
    expect(scans.filter((scan) => ['pending', 'running', 'stopping'].includes(scan.status))).toEqual([]);
    for (const task of records) {
      const ours = scans.filter((scan) => scan.name.includes(task.task_id));
      const completed = ours.filter((scan) => scan.status === 'completed');
      if (task.state === 'completed') expect(completed).toHaveLength(1);
      // whatever else was made for it ended without a result: aborted, or never launched
      expect(ours.length - completed.length).toBeLessThanOrEqual(task.checkpoint?.generation ?? 1);
      if (task.pinned_instance !== null) expect(task.scanner_instance).toBe(task.pinned_instance);
    }

    // of tasks of one priority that ask for no instance and no limited network, while all three still had some waiting
    const counted = startedEarly.filter(
      (task) =>
        task.priority === 'normal' && task.pinned_instance === null && !task.targets.startsWith('10.7.'),
    );
    const share = (principal: Principal): number =>
      counted.filter((task) => task.principal === principal).length;
    expect(counted.length).toBeGreaterThan(12);
    // bob has a limit beside his share; the others are in the same round, in which alice has three and carol one
    const lastRound = (principal: Principal): number =>
      Math.max(...counted.filter((task) => task.principal === principal).map((task) => task.fair_round));
    expect(Math.abs(lastRound('alice') - lastRound('carol'))).toBeLessThanOrEqual(2);
    expect(share('alice')).toBeGreaterThan(share('carol'));
    expect(share('bob')).toBeLessThan(share('alice'));
    const order = PRIORITIES.map((priority) => {
      const times = records
        .filter(
          (task) => task.priority === priority && task.pinned_instance === null && task.started_at !== null,
        )
        .map((task) => Date.parse(task.started_at ?? ''));
      return times.reduce((sum, time) => sum + time, 0) / times.length;
    });
    expect([...order].sort((a, b) => a - b)).toEqual(order);

    await tellTheSameStory(records);
  }, 900_000);
});

/** REST, MCP, the records and the job on the dashboard say the same of each task. */
async function tellTheSameStory(records: readonly TaskRecord[]): Promise<void> {
  const listed = new Map<string, ScanStatus>();
  let cursor: string | null = null;
  do {
    const page: { tasks: ScanStatus[]; total: number; next_cursor: string | null } = (
      await api.call('GET', `/api/v1/scans?limit=100${cursor === null ? '' : `&cursor=${cursor}`}`)
    ).json();
    expect(page.total).toBe(records.length);
    for (const task of page.tasks) listed.set(task.task_id, task);
    cursor = page.next_cursor;
  } while (cursor !== null);
  for (const record of records) {
    const rest = listed.get(record.task_id);
    expect([rest?.status, rest?.scanner_instance, rest?.attempts]).toEqual([
      record.state,
      record.scanner_instance ?? record.pinned_instance,
      record.attempts,
    ]);
    const job = await queue.queues.forTask(record).getJob(record.task_id);
    // the job ends a moment after its task
    const state = await until(`the job of ${record.task_id} has ended`, async () => {
      const now = (await job?.getState()) ?? 'gone';
      return now !== 'active' && now;
    });
    // one that was cancelled while it waited has no job any more
    expect(record.state === 'cancelled' ? ['completed', 'gone'] : ['completed']).toContain(state);
  }
  const metrics = (await api.call('GET', '/metrics')).text;
  for (const state of TASK_STATES) {
    const count = records.filter((record) => record.state === state).length;
    expect(metrics).toContain(`scanmq_tasks{state="${state}"} ${count}\n`);
  }
  for (const [index, scans] of LIMITS.entries()) {
    expect(metrics).toContain(`scanmq_active_scans{scanner="nessus:scanner${index + 1}"} 0\n`);
    expect(metrics).toContain(`scanmq_scan_limit{scanner="nessus:scanner${index + 1}"} ${scans}\n`);
  }
  expect(metrics).toContain('scanmq_queue_depth{pool="nessus"} 0\n');
  for (const record of records.filter((_, index) => index % 25 === 0)) {
    const answer = await api.call(
      'POST',
      '/mcp',
      {
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name: 'get_scan_status', arguments: { task_id: record.task_id } },
      },
      { accept: 'application/json, text/event-stream' },
    );
    expect(answer.text).toContain(`\\"status\\":\\"${record.state}\\"`);
  }
}
