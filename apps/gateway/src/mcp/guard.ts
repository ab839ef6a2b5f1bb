/** What stands before every tool: permissions, limits per tool and key, the audit log, and help with ids that do not exist. */
import type { Decision } from '@scanmq/access';
import type { Settings } from '@scanmq/config';
import { type ErrorCode, isTaskId, ScanmqError } from '@scanmq/contract';
import type { Logger, Meter, Tracing } from '@scanmq/observability';
import type { QueueSystem } from '@scanmq/queue';
import { distance } from 'fastest-levenshtein';
import {
  type RateLimiterAbstract,
  RateLimiterMemory,
  RateLimiterRedis,
  RateLimiterRes,
} from 'rate-limiter-flexible';
import type { Holds } from '../holds.js';
import { asAnswerable } from '../plugins/errors.js';
import { mayUse, permissionOf } from '../tools/permissions.js';
import type { Tool, ToolContext } from '../tools/tool.js';

export interface GuardDeps {
  readonly queue: QueueSystem;
  readonly settings: Pick<Settings, 'mcpReadsPerMinute' | 'mcpChangesPerMinute'>;
  readonly log: Logger;
  readonly metrics: Meter;
  readonly tracing: Tracing;
  /** Bounds calls that wait. */
  readonly holds: Holds;
}

const MINUTE_SECONDS = 60;
/** Tasks looked at for one that was meant, and shown. */
const RECENT = 50;
const SHOWN = 3;
/** Letters that may differ between an id and the one that was meant; more is no slip. */
const SLIP = 4;

export function guardTools(tools: readonly Tool[], deps: GuardDeps): readonly Tool[] {
  const { queue, settings, log, metrics, tracing, holds } = deps;
  const count = (tool: string, outcome: 'ok' | ErrorCode): void => {
    metrics.count('scanmq_tool_calls_total', { tool, outcome });
    metrics.count('nessus_api_requests_total', { tool, status: outcome === 'ok' ? 'success' : 'error' });
  };
  const reads = limiter(settings.mcpReadsPerMinute, (points) => new RateLimiterMemory(points));
  const changes = limiter(
    settings.mcpChangesPerMinute,
    // over all gateways; with Redis away nothing can be changed anyway
    (points) =>
      new RateLimiterRedis({ ...points, storeClient: queue.redis, keyPrefix: `${queue.prefix}:tasks.rate` }),
  );

  return tools.map((tool) => {
    const changing = !tool.annotations.readOnlyHint;
    return {
      ...tool,
      async call(args, context) {
        let giveBack = (): void => {};
        try {
          if (!mayUse(context.principal, tool.name))
            throw new ScanmqError(
              'forbidden',
              `${tool.name} needs the permission ${permissionOf(tool.name)}, which this key does not have.`,
            );
          await take(changing ? changes : reads, `${context.principal.name}:${tool.name}`, tool.name);
          // before it is done: what cannot be written down is not done
          if (changing) await context.audit({ ...told(tool, args), decision: 'allowed' });
          if (tool.streams) giveBack = holds.take('wait', context.principal.name);
          const answer = await tracing.span(`tool ${tool.name}`, { 'scanmq.tool': tool.name }, () =>
            tool.call(args, context),
          );
          count(tool.name, 'ok');
          return answer;
        } catch (thrown) {
          const error = asAnswerable(thrown);
          count(tool.name, error.code);
          // as for routes: whoever asks too often does not fill the disk as well
          if (changing && error.code !== 'rate_limited')
            await context
              .audit({ ...told(tool, args), decision: 'refused', code: error.code, reason: error.message })
              .catch((failed: unknown) =>
                log.error(
                  { event: 'audit.failed', err: failed, trace_id: context.traceId },
                  'a refusal could not be written down',
                ),
              );
          throw (
            (await withNearestIds(queue, error, args, context).catch(() => undefined)) ??
            withNextStep(error, args, thrown)
          );
        } finally {
          giveBack();
        }
      },
    };
  });
}

function limiter(
  perMinute: number,
  make: (options: { points: number; duration: number }) => RateLimiterAbstract,
): RateLimiterAbstract | undefined {
  return perMinute === 0 ? undefined : make({ points: perMinute, duration: MINUTE_SECONDS });
}

/** @throws ScanmqError `rate_limited` */
async function take(limit: RateLimiterAbstract | undefined, key: string, tool: string): Promise<void> {
  try {
    await limit?.consume(key);
  } catch (refused) {
    if (!(refused instanceof RateLimiterRes)) throw refused;
    const seconds = Math.max(1, Math.ceil(refused.msBeforeNext / 1_000));
    throw new ScanmqError('rate_limited', `Too many calls of ${tool} with this key.`, {
      retryAfterSeconds: seconds,
      next: `Wait ${seconds} seconds before the next call of ${tool}.`,
    });
  }
}

/** What the audit log tells of a call: nothing of it is a secret, or a text that a scanned host wrote. */
function told(tool: Tool, args: unknown): Pick<Decision, 'action'> & Partial<Decision> {
  const given = (args ?? {}) as Record<string, unknown>;
  const text = (field: string): string | undefined =>
    typeof given[field] === 'string' ? given[field] : undefined;
  const request = given.request as { targets?: unknown } | undefined;
  const object = ['action', 'schedule_id', 'credential_ref'].flatMap((field) => text(field) ?? []).join(' ');
  return {
    action: tool.name,
    taskId: text('task_id'),
    object: object === '' ? undefined : object,
    // of a schedule they are in the scan that recurs
    targets: text('targets') ?? (typeof request?.targets === 'string' ? request.targets : undefined),
    name: text('name'),
  };
}

/** What helps, by what went wrong. `{task}` stands for the arguments that name the task. */
const NEXT: Partial<Record<ErrorCode, string>> = {
  invalid_request: 'Correct the arguments that errors names, and repeat the call.',
  invalid_state: 'get_scan_status {task} tells the state; wait_for_scan {task} waits for its end.',
  target_refused: 'Ask the user for other targets; plan_scan tells whether they are allowed.',
  idempotency_conflict: 'Use another idempotency_key for another request.',
  no_scanner: 'list_scanners tells which scanners there are and why they cannot be used.',
  scanner_export_only: 'list_scanners tells which scanners can launch scans; name another scanner_pool.',
  unavailable: 'Repeat the call in some seconds, with the same idempotency_key.',
  internal: 'Repeat the call once; then report the trace_id to the operator of scanmq.',
};

/** The error with what to do about it; one that says so already stays as it is. */
function withNextStep(error: ScanmqError, args: unknown, thrown: unknown): unknown {
  const { task_id } = (args ?? {}) as { task_id?: unknown };
  const named = typeof task_id === 'string' && isTaskId(task_id) ? `{"task_id":"${task_id}"}` : '';
  const next = NEXT[error.code]?.replaceAll('{task}', named);
  if (error.next !== undefined || next === undefined || (error.code === 'invalid_state' && named === ''))
    return thrown;
  return withNext(error, next);
}

function withNext(error: ScanmqError, next: string): ScanmqError {
  const { code, message, retryable, issues, retryAfterSeconds } = error;
  return new ScanmqError(code, message, {
    cause: error.cause,
    next,
    retryable,
    ...(issues ? { issues } : {}),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  });
}

/** For an id that names no task: which of the caller's tasks was meant. */
async function withNearestIds(
  queue: QueueSystem,
  error: ScanmqError,
  args: unknown,
  { principal }: ToolContext,
): Promise<ScanmqError | undefined> {
  const wrong = Object.entries((args ?? {}) as Record<string, unknown>).find(
    ([name, value]) =>
      name.endsWith('task_id') &&
      typeof value === 'string' &&
      (error.code === 'not_found'
        ? isTaskId(value) && error.message.includes(value)
        : error.issues?.some(({ path }) => path === name)),
  );
  if (!wrong || error.next !== undefined) return undefined;
  const asked = String(wrong[1]).slice(0, 64);
  const { tasks } = await queue.list({ limit: RECENT, principal: principal.name });
  const ids = tasks.map(({ task_id }) => task_id);
  const near = ids.filter((id) => distance(id, asked) <= SLIP);
  const shown = (near.length > 0 ? near : ids).slice(0, SHOWN);
  const next =
    shown.length === 0
      ? 'You have no tasks yet: run_untrusted_scan makes one.'
      : `${near.length > 0 ? 'Perhaps you mean' : 'Your newest tasks are'} ${shown.join(', ')}. list_tasks has all of them.`;
  return withNext(error, next);
}
