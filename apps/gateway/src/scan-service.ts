/**
 * What users can do, once for every front: REST and MCP call these functions and nothing below them.
 */
import {
  type CancelAnswer,
  type ControlAction,
  type ControlAnswer,
  InvalidRequestError,
  isTerminal,
  type ListTasksParams,
  type OperatorAction,
  type poolListSchema,
  type poolStatusSchema,
  type QueueStatus,
  ScanmqError,
  type ScannerView,
  type ScanRequest,
  type ScanStatus,
  type Submission,
  type scannerListSchema,
  type TaskList,
  type TaskRecord,
  toScanStatus,
} from '@scanmq/contract';
import type { Meter } from '@scanmq/observability';
import {
  acceptScan,
  availability,
  type FleetView,
  type HealthMonitor,
  instanceNamed,
  isDraining,
  isEnabled,
  lookAtFleet,
  poolCapacity,
  scannerTypeOf,
  type TargetPolicy,
} from '@scanmq/processor';
import type { CancelOptions, Placement, QueueSystem, SubmitContext } from '@scanmq/queue';
import type { ScannerRegistry } from '@scanmq/scanners';
import type { z } from 'zod';
import type { DiskGuard } from './disk-guard.js';
import type { TaskWaiter } from './task-waiter.js';
import { whyItStands, whyItWaits } from './why-waiting.js';

export interface ScanServiceDeps {
  readonly queue: QueueSystem;
  readonly registry: ScannerRegistry;
  readonly monitor: HealthMonitor;
  readonly policy: TargetPolicy;
  readonly meter: Meter;
  readonly waiter: TaskWaiter;
  /** Brings the limits of the queues in line with the fleet. */
  readonly applyLimits: () => Promise<void>;
  readonly disk: DiskGuard;
  readonly now: () => Date;
}

export interface ScanService {
  /** @param beforeSubmit as of `acceptScan`. */
  submit(
    request: ScanRequest,
    context: SubmitContext,
    beforeSubmit?: (placement: Placement) => Promise<void>,
  ): Promise<{ submission: Submission; task: ScanStatus }>;
  status(taskId: string): Promise<ScanStatus>;
  /** A record as users are told of it now. */
  describe(task: TaskRecord): Promise<ScanStatus>;
  /** As `status`, but not before the task has ended or the time is over. */
  waitForEnd(
    taskId: string,
    waitMs: number,
    signal: AbortSignal,
    /** Told of the task at each look, until it is answered. */
    onLook?: (task: TaskRecord) => void,
  ): Promise<ScanStatus>;
  list(params: ListTasksParams): Promise<TaskList>;
  cancel(taskId: string, options: CancelOptions): Promise<CancelAnswer>;
  control(taskId: string, action: ControlAction, by: string): Promise<ControlAnswer>;
  /** Enables, disables or drains an instance while the service runs. @param instance `pool:instance_id`, or the id alone. */
  operate(
    instance: string,
    action: OperatorAction,
    decision: { readonly reason: string; readonly by: string },
  ): Promise<ScannerView>;
  scanners(pool: string | undefined): Promise<z.infer<typeof scannerListSchema>>;
  pools(): z.infer<typeof poolListSchema>;
  poolStatus(pool: string | undefined): Promise<z.infer<typeof poolStatusSchema>>;
  queueStatus(pool: string | undefined): Promise<QueueStatus>;
}

const OPERATOR_STATE = { enable: 'enabled', disable: 'disabled', drain: 'draining' } as const;

/** What is held, or waits for a limit, begins when somebody or something else decides so: no figure would be honest. */
function minutesToWait(task: TaskRecord, minutes: number | null, nowMs: number): number | null {
  if (task.pause_requested) return null;
  if (task.waiting_for === null || task.waiting_for.kind === 'scanner_full') return minutes;
  const { until } = task.waiting_for;
  return until === null ? null : Math.max(0, Math.round((Date.parse(until) - nowMs) / 6_000) / 10);
}

export function createScanService(deps: ScanServiceDeps): ScanService {
  const { queue, registry } = deps;

  function knownPool(pool: string | undefined): string {
    const name = pool ?? registry.defaultPool;
    if (registry.pools().includes(name)) return name;
    throw new InvalidRequestError(
      `There is no pool '${name}'. Known pools: ${registry.pools().join(', ')}.`,
      [{ path: 'scanner_pool', message: `expected one of ${registry.pools().join(', ')}` }],
    );
  }

  async function describe(task: TaskRecord, view?: FleetView): Promise<ScanStatus> {
    // an import takes no scanner's time
    if (isTerminal(task.state) || task.imported) return toScanStatus(task);
    const nowMs = deps.now().getTime();
    if (task.state === 'running') {
      const { typicalMs } = await queue.pace(task.scanner_pool);
      const startedMs = Date.parse(task.started_at ?? task.created_at);
      const eta =
        typicalMs === undefined ? null : new Date(Math.max(startedMs + typicalMs, nowMs)).toISOString();
      return toScanStatus(task, { eta, waiting_reason: whyItStands(task) });
    }
    const fleet = view ?? (await lookAtFleet(registry, queue));
    const capacity = poolCapacity(fleet, task.scanner_pool);
    const wait = await queue.waitOf(task, capacity);
    const { position, pace } = wait;
    const minutes = minutesToWait(task, wait.minutes, nowMs);
    const known = position !== null && minutes !== null && pace.typicalMs !== undefined;
    return toScanStatus(task, {
      queue_position: position,
      estimated_wait_minutes: minutes,
      eta: known ? new Date(nowMs + minutes * 60_000 + (pace.typicalMs ?? 0)).toISOString() : null,
      waiting_reason: whyItWaits(task, { position, minutes, capacity, view: fleet }),
    });
  }

  async function scannerViews(pool: string | undefined): Promise<ScannerView[]> {
    const [view, load] = await Promise.all([lookAtFleet(registry, queue), queue.bindings.load()]);
    return registry.instances(pool).map((instance) => {
      const known = view.health.get(instance.instanceKey);
      const active = load.get(instance.instanceKey) ?? 0;
      const limit = instance.maxConcurrentScans;
      const state = availability(view, instance);
      return {
        scanner_type: instance.type,
        pool: instance.pool,
        instance_id: instance.instanceId,
        instance_key: instance.instanceKey,
        name: instance.name,
        url: instance.url,
        enabled: isEnabled(view, instance),
        draining: isDraining(view, instance),
        operator: view.operators.get(instance.instanceKey) ?? null,
        healthy: known?.healthy ?? null,
        circuit: known?.circuit ?? 'closed',
        mode: known?.mode ?? 'unknown',
        reason: state.usable ? null : state.reason,
        max_concurrent_scans: limit,
        active_scans: active,
        available_capacity: state.usable ? Math.max(0, limit - active) : 0,
        utilization_pct: Math.round((active / limit) * 1000) / 10,
        version: known?.version ?? null,
        licence: known?.licence ?? null,
        simulator: known?.simulator ?? false,
      };
    });
  }

  return {
    async submit(request, context, beforeSubmit) {
      await deps.disk.check();
      const { task, replay, joined, view } = await acceptScan(deps, request, context, beforeSubmit);
      if (!replay && !joined)
        deps.meter.count('nessus_scans_total', { scan_type: task.scan_type, status: 'queued' });
      const status = await describe(task, view);
      const pinned = task.pinned_instance ?? task.scanner_instance;
      return {
        task: status,
        submission: {
          task_id: task.task_id,
          trace_id: task.trace_id,
          status: task.state,
          scan_type: task.scan_type,
          scanner_type: task.scanner_type,
          scanner_pool: task.scanner_pool,
          scanner_instance: pinned,
          scanner_url:
            registry.instances(task.scanner_pool).find((instance) => instance.instanceId === pinned)?.url ??
            null,
          // a worker may have taken it in this very moment: then it was the next
          queue_position: status.queue_position ?? (task.state === 'queued' ? 1 : null),
          estimated_wait_minutes: status.queue_position === null ? 0 : status.estimated_wait_minutes,
          message: replay
            ? 'This idempotency key was used before for the same request: this is the task it made.'
            : joined
              ? 'An identical task of yours waits already: this is that one.'
              : 'The scan is queued. Follow it with get_scan_status.',
          idempotent_replay: replay,
          coalesced: joined,
        },
      };
    },

    describe: (task) => describe(task),
    status: async (taskId) => describe(await queue.tasks.get(taskId)),

    async waitForEnd(taskId, waitMs, gone, onLook) {
      const signal = AbortSignal.any([gone, deps.waiter.closing]);
      const until = Date.now() + waitMs;
      for (;;) {
        // listening begins before the look, so that no change falls between the two
        const changed = deps.waiter.nextChange(taskId, Math.max(0, until - Date.now()), signal);
        const task = await queue.tasks.get(taskId);
        if (isTerminal(task.state) || Date.now() >= until || signal.aborted) {
          changed.stop();
          return await describe(task);
        }
        onLook?.(task);
        await changed.done;
      }
    },

    async list(params) {
      const page = await queue.list(params);
      const view = await lookAtFleet(registry, queue);
      const tasks = await Promise.all(page.tasks.map((task) => describe(task, view)));
      return { tasks, total: page.total, next_cursor: page.nextCursor };
    },

    cancel: (taskId, options) => queue.cancel(taskId, options),
    async control(taskId, action, by) {
      switch (action) {
        case 'pause':
          return await queue.pause(taskId, by);
        case 'resume':
          return await queue.resume(taskId);
        case 'retry':
          return await queue.retry(taskId);
      }
    },

    async operate(name, action, { reason, by }) {
      const { instanceKey, pool } = instanceNamed(registry, name);
      await queue.operatorStates.set(instanceKey, {
        state: OPERATOR_STATE[action],
        at: deps.now().toISOString(),
        by,
        reason,
      });
      await deps.applyLimits();
      // those that waited for it, and those that wait for nothing any more
      await queue.requestAdmission();
      const view = (await scannerViews(pool)).find((scanner) => scanner.instance_key === instanceKey);
      if (!view) throw new ScanmqError('no_scanner', `Scanner ${instanceKey} is not configured any more.`);
      return view;
    },

    async scanners(pool) {
      const scanners = await scannerViews(pool === undefined ? undefined : knownPool(pool));
      return { scanners, total: scanners.length, pools: [...registry.pools()] };
    },

    pools: () => ({ pools: [...registry.pools()], default_pool: registry.defaultPool }),

    async poolStatus(pool) {
      const name = knownPool(pool);
      const scanners = await scannerViews(name);
      const capacity = poolCapacity(await lookAtFleet(registry, queue), name);
      const active = scanners.reduce((sum, scanner) => sum + scanner.active_scans, 0);
      return {
        pool: name,
        scanner_type: scannerTypeOf(registry, name),
        total_scanners: scanners.length,
        total_capacity: capacity,
        total_active: active,
        available_capacity: Math.max(0, capacity - active),
        utilization_pct: capacity === 0 ? 0 : Math.round((active / capacity) * 1000) / 10,
        scanners,
      };
    },

    async queueStatus(pool) {
      const name = knownPool(pool);
      return await queue.status(name, poolCapacity(await lookAtFleet(registry, queue), name));
    },
  };
}
