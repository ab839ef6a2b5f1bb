/** What an entry tells: only what is listed here, so that no secret can get into it by way of an argument. */
import { type ErrorCode, LIMITS, type Principal } from '@scanmq/contract';
import { sha256 } from './chain.js';

export interface Decision {
  /** What was asked for: a tool, or method and route, or a command. */
  readonly action: string;
  readonly decision: 'allowed' | 'refused';
  /** For a refusal. */
  readonly code?: ErrorCode | undefined;
  readonly reason?: string | undefined;
  /** Undefined where nobody was recognised. */
  readonly principal?: Principal | undefined;
  /** The key that was given, good or not. */
  readonly keyId?: string | undefined;
  readonly taskId?: string | undefined;
  /** What else it is about: a schedule, a scanner, a credential, a key. */
  readonly object?: string | undefined;
  readonly targets?: string | undefined;
  /** Name of the scan, as it was asked for. */
  readonly name?: string | undefined;
  /** Address that it came from. */
  readonly from: string;
  /** What the client says that it is. */
  readonly client?: string | undefined;
  readonly traceId: string;
}

export function fieldsOf(decision: Decision, at: Date): Readonly<Record<string, unknown>> {
  const { principal, targets } = decision;
  return {
    time: at.toISOString(),
    event: 'decision',
    action: cut(decision.action),
    decision: decision.decision,
    code: decision.code,
    reason: cut(decision.reason),
    principal: cut(principal?.name),
    principal_id: cut(principal?.id),
    role: principal?.role,
    via: principal?.via,
    key_id: cut(decision.keyId),
    task_id: cut(decision.taskId),
    object: cut(decision.object),
    targets: cut(targets),
    // what was cut off can still be proven
    targets_sha256:
      targets !== undefined && targets.length > LIMITS.auditTextChars ? sha256(targets) : undefined,
    name: cut(decision.name),
    from: cut(decision.from),
    client: cut(decision.client),
    trace_id: cut(decision.traceId),
  };
}

/** A key that somebody put where another text belongs. */
const KEY = /(smq_[0-9a-f]{16})_[0-9a-f]{64}/g;

function cut(text: string | undefined): string | undefined {
  return text?.replace(KEY, '$1_[redacted]').slice(0, LIMITS.auditTextChars);
}
