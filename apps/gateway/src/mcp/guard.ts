/** What stands before every tool: limits per tool and key, help with ids that do not exist, and the record of changes. */
import type { Settings } from '@scanmq/config';
import { type ErrorCode, isTaskId, ScanmqError } from '@scanmq/contract';
import type { Logger } from '@scanmq/observability';
import type { QueueSystem } from '@scanmq/queue';
import { distance } from 'fastest-levenshtein';
import {
  type RateLimiterAbstract,
  RateLimiterMemory,
  RateLimiterRedis,
  RateLimiterRes,
} from 'rate-limiter-flexible';
import { asAnswerable } from '../plugins/errors.js';
import type { Tool, ToolContext } from '../tools/tool.js';

export interface GuardDeps {
  readonly queue: QueueSystem;
  readonly settings: Pick<Settings, 'mcpReadsPerMinute' | 'mcpChangesPerMinute'>;
  readonly log: Logger;
}

const MINUTE_SECONDS = 60;
/** Tasks looked at for one that was meant, and shown. */
const RECENT = 50;
const SHOWN = 3;
/** Letters that may differ between an id and the one that was meant; more is no slip. */
const SLIP = 4;

export function guardTools(tools: readonly Tool[], deps: GuardDeps): readonly Tool[] {
  const { queue, settings, log } = deps;
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
        try {
          await take(changing ? changes : reads, `${context.principal}:${tool.name}`, tool.name);
          const answer = await tool.call(args, context);
          if (changing) audit(log, tool, args, context, { decision: 'allowed', ...idsOf(answer.structured) });
          return answer;
        } catch (thrown) {
          const error = asAnswerable(thrown);
          if (changing)
            audit(log, tool, args, context, { decision: 'refused', code: error.code, reason: error.message });
          throw (
            (await withNearestIds(queue, error, args, context).catch(() => undefined)) ??
            withNextStep(error, args, thrown)
          );
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

/** Arguments that say what was asked for, and hold no secret. */
const TOLD = [
  'task_id',
  'schedule_id',
  'action',
  'targets',
  'name',
  'scan_type',
  'template',
  'scanner_pool',
  'scanner_instance',
  'credential_ref',
  'idempotency_key',
  'reason',
] as const;
const TOLD_CHARS = 1_000;

/** One record of a change, or of a refusal to make it. */
function audit(
  log: Logger,
  tool: Tool,
  args: unknown,
  { principal, traceId, from }: ToolContext,
  outcome: Readonly<Record<string, unknown>>,
): void {
  const given = (args ?? {}) as Record<string, unknown>;
  const told = TOLD.flatMap((field) =>
    typeof given[field] === 'string' ? [[field, given[field].slice(0, TOLD_CHARS)]] : [],
  );
  log.info(
    {
      event: 'audit',
      tool: tool.name,
      principal,
      from,
      arguments: Object.fromEntries(told),
      ...outcome,
      trace_id: traceId,
    },
    'tool call that changes something',
  );
}

function idsOf({ task_id, schedules }: Record<string, unknown>): Record<string, unknown> {
  if (typeof task_id === 'string') return { task_id };
  const ids = Array.isArray(schedules)
    ? schedules.map((one: { schedule_id?: unknown }) => one.schedule_id).slice(0, 1)
    : [];
  return ids.length > 0 ? { schedule_id: ids[0] } : {};
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
  const { tasks } = await queue.list({ limit: RECENT, principal });
  const ids = tasks.map(({ task_id }) => task_id);
  const near = ids.filter((id) => distance(id, asked) <= SLIP);
  const shown = (near.length > 0 ? near : ids).slice(0, SHOWN);
  const next =
    shown.length === 0
      ? 'You have no tasks yet: run_untrusted_scan makes one.'
      : `${near.length > 0 ? 'Perhaps you mean' : 'Your newest tasks are'} ${shown.join(', ')}. list_tasks has all of them.`;
  return withNext(error, next);
}
