import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type OperatorState, scanRequestSchema, type TaskRecord } from '@scanmq/contract';
import type { JobLock, QueueSystem } from '@scanmq/queue';
import { createScannerRegistry } from '@scanmq/scanners';
import { openTestQueue, testScanners } from '@scanmq/testkit';
import { Worker } from 'bullmq';
import { type AssignDeps, assign } from './assign.js';
import type { FleetView } from './fleet.js';

let queue: QueueSystem;
let deps: AssignDeps;
let task: TaskRecord;
/** The task is in the hands of a worker. */
let lock: JobLock;
let worker: Worker;

/** The fleet as it was seen when these instances were being drained. */
const view = (...draining: string[]): FleetView => ({
  registry: deps.registry,
  health: new Map(),
  operators: new Map(
    draining.map((id) => [`nessus:${id}`, { state: 'draining', by: 'tester', at: '' } as OperatorState]),
  ),
});

beforeEach(async () => {
  queue = await openTestQueue();
  deps = {
    queue,
    registry: createScannerRegistry(testScanners('one', 'two')),
    policy: { resolve: async () => [] },
    settings: { scannerOutageMs: 60_000 },
    now: () => new Date(),
  };
  const placement = { scannerType: 'nessus', pool: 'nessus', pinnedInstance: null };
  ({ task } = await queue.submit(
    scanRequestSchema.parse({ targets: '192.0.2.1', name: 'assigned' }),
    placement,
    { principal: 'tester' },
  ));
  const scans = queue.queues.forTask(task);
  worker = new Worker(scans.name, null, { connection: queue.redis, prefix: queue.prefix });
  await worker.getNextJob('mine');
  lock = { key: scans.toKey(`${task.task_id}:lock`), token: 'mine' };
});
afterEach(async () => {
  await worker.close();
  await queue.close();
});

const slot = async () => await queue.bindings.of(task.task_id);

describe('a task that was given a scanner', () => {
  it('keeps it whatever somebody knows of the fleet who calls those that wait', async () => {
    expect(await assign(deps, task, view(), lock)).toEqual({ kind: 'assigned', instanceKey: 'nessus:one' });
    // the scan may run there: a slot of another scanner would leave this one with a scan too many
    for (const stale of [view('one'), view('one', 'two')])
      expect(await assign(deps, task, stale)).toEqual({ kind: 'assigned', instanceKey: 'nessus:one' });
    expect(await slot()).toBe('nessus:one');
  });

  it('gets another when its own takes no new scan any more, from whoever has its job in its hands', async () => {
    await assign(deps, task, view(), lock);
    const lost = { ...lock, token: 'of one who stood still' };
    expect(await assign(deps, task, view('one'), lost)).toMatchObject({ instanceKey: 'nessus:one' });
    expect(await slot()).toBe('nessus:one');
    expect(await assign(deps, task, view('one'), lock)).toEqual({
      kind: 'assigned',
      instanceKey: 'nessus:two',
    });
    expect(await slot()).toBe('nessus:two');
  });

  it('gets one when it is called, and keeps it until its turn', async () => {
    expect(await assign(deps, task, view('one'))).toEqual({ kind: 'assigned', instanceKey: 'nessus:two' });
    expect(await assign(deps, task, view(), lock)).toEqual({ kind: 'assigned', instanceKey: 'nessus:two' });
  });
});
