/**
 * What users can do, once for every front: REST and MCP call these functions and nothing below them.
 */
import {
  type CancelAnswer,
  InvalidRequestError,
  isTerminal,
  type ListTasksParams,
  type poolListSchema,
  type poolStatusSchema,
  type QueueStatus,
  type ScannerView,
  type ScanRequest,
  type ScanStatus,
  type Submission,
  type scannerListSchema,
  type TaskList,
  type TaskRecord,
  toScanStatus,
} from '@scanmq/contract';
import {
  acceptScan,
  type HealthMonitor,
  poolCapacity,
  SCANNER_TYPE,
  type TargetPolicy,
} from '@scanmq/processor';
import type { QueueSystem, SubmitContext } from '@scanmq/queue';
import type { ScannerRegistry } from '@scanmq/scanners';
import type { z } from 'zod';
import type { TaskWaiter } from './task-waiter.js';

export interface ScanServiceDeps {
  readonly queue: QueueSystem;
  readonly registry: ScannerRegistry;
  readonly monitor: HealthMonitor;
  readonly policy: TargetPolicy;
  readonly waiter: TaskWaiter;
  readonly now: () => Date;
}

export interface ScanService {
  submit(request: ScanRequest, context: SubmitContext): Promise<{ submission: Submission; task: ScanStatus }>;
  status(taskId: string): Promise<ScanStatus>;
  /** As `status`, but not before the task has ended or the time is over. */
  waitForEnd(taskId: string, waitMs: number, signal: AbortSignal): Promise<ScanStatus>;
  list(params: ListTasksParams): Promise<TaskList>;
  cancel(taskId: string, reason: string, by: string): Promise<CancelAnswer>;
  scanners(pool: string | undefined): Promise<z.infer<typeof scannerListSchema>>;
  pools(): z.infer<typeof poolListSchema>;
  poolStatus(pool: string | undefined): Promise<z.infer<typeof poolStatusSchema>>;
  queueStatus(pool: string | undefined): Promise<QueueStatus>;
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

  async function describe(task: TaskRecord): Promise<ScanStatus> {
    if (isTerminal(task.state)) return toScanStatus(task);
    const typicalMs = await queue.typicalDurationMs(task.scanner_pool);
    // an import takes no scanner's time
    if (task.imported) return toScanStatus(task);
    if (task.state === 'queued') {
      const wait = await queue.waitOf(task, poolCapacity(registry, task.scanner_pool));
      const eta =
        wait.position === null ? null : new Date(deps.now().getTime() + wait.minutes * 60_000 + typicalMs);
      return toScanStatus(task, { queue_position: wait.position, eta: eta?.toISOString() ?? null });
    }
    const startedMs = Date.parse(task.started_at ?? task.created_at);
    const etaMs = Math.max(startedMs + typicalMs, deps.now().getTime());
    return toScanStatus(task, { eta: new Date(etaMs).toISOString() });
  }

  async function scannerViews(pool: string | undefined): Promise<ScannerView[]> {
    const [health, load] = await Promise.all([queue.health.all(), queue.bindings.load()]);
    return registry.instances(pool).map((instance) => {
      const known = health.get(instance.instanceKey);
      const active = load.get(instance.instanceKey) ?? 0;
      const limit = instance.maxConcurrentScans;
      return {
        scanner_type: SCANNER_TYPE,
        pool: instance.pool,
        instance_id: instance.instanceId,
        instance_key: instance.instanceKey,
        name: instance.name,
        url: instance.url,
        enabled: instance.enabled,
        healthy: known?.healthy ?? null,
        circuit: known?.healthy === false ? 'open' : 'closed',
        mode: known?.mode ?? 'unknown',
        reason: known?.reason ?? null,
        max_concurrent_scans: limit,
        active_scans: active,
        available_capacity: instance.enabled ? Math.max(0, limit - active) : 0,
        utilization_pct: Math.round((active / limit) * 1000) / 10,
        version: known?.version ?? null,
        licence: known?.licence ?? null,
        simulator: known?.simulator ?? false,
      };
    });
  }

  return {
    async submit(request, context) {
      const { task, replay } = await acceptScan(deps, request, context);
      const status = await describe(task);
      const pinned = task.pinned_instance ?? task.scanner_instance;
      const wait = await queue.waitOf(task, poolCapacity(registry, task.scanner_pool));
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
          queue_position: wait.position ?? (task.state === 'queued' ? 1 : null),
          estimated_wait_minutes: wait.minutes,
          message: replay
            ? 'This idempotency key was used before for the same request: this is the task it made.'
            : 'The scan is queued. Follow it with get_scan_status.',
          idempotent_replay: replay,
        },
      };
    },

    status: async (taskId) => describe(await queue.tasks.get(taskId)),

    async waitForEnd(taskId, waitMs, gone) {
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
        await changed.done;
      }
    },

    async list(params) {
      const page = await queue.list(params);
      const tasks = await Promise.all(page.tasks.map(describe));
      return { tasks, total: tasks.length, next_cursor: page.nextCursor };
    },

    cancel: (taskId, reason, by) => queue.cancel(taskId, reason, by),

    async scanners(pool) {
      const scanners = await scannerViews(pool === undefined ? undefined : knownPool(pool));
      return { scanners, total: scanners.length, pools: [...registry.pools()] };
    },

    pools: () => ({ pools: [...registry.pools()], default_pool: registry.defaultPool }),

    async poolStatus(pool) {
      const name = knownPool(pool);
      const scanners = await scannerViews(name);
      const capacity = poolCapacity(registry, name);
      const active = scanners.reduce((sum, scanner) => sum + scanner.active_scans, 0);
      return {
        pool: name,
        scanner_type: SCANNER_TYPE,
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
      return await queue.status(name, poolCapacity(registry, name));
    },
  };
}
