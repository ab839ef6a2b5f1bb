import { types } from 'node:util';
import { ScanmqError } from '@scanmq/contract';

/** Deeper values are cut: no log line of ours is that deep. */
const DEPTH = 8;

/**
 * A copy in which each error, wherever it is, is type, code, message, causes and stack, and nothing else: errors of
 * libraries carry whole requests with their headers. Only plain objects and lists are looked into; for what has a
 * class of its own there may be a serializer.
 */
export function describeErrors(value: unknown): unknown {
  return describe(value, []);
}

function describe(value: unknown, above: readonly object[]): unknown {
  if (typeof value === 'bigint') return String(value);
  if (value === null || typeof value !== 'object') return value;
  if (above.includes(value)) return '[circular]';
  if (above.length > DEPTH) return '[deep]';
  const inside = [...above, value];
  if (value instanceof Error || types.isNativeError(value)) return describeError(value, inside);
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Map) return describe(Object.fromEntries(value), inside);
  if (value instanceof Set) return describe([...value], inside);
  if (Array.isArray(value)) return value.map((inner) => describe(inner, inside));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, describe(inner, inside)]));
}

function describeError(error: Error, inside: readonly object[]): Record<string, unknown> {
  const ours = error instanceof ScanmqError ? error : undefined;
  return {
    type: error.name,
    ...('code' in error ? { code: describe(error.code, inside) } : {}),
    ...(ours ? { retryable: ours.retryable } : {}),
    message: error.message,
    ...(ours?.issues && ours.issues.length > 0 ? { issues: describe(ours.issues, inside) } : {}),
    ...(error instanceof AggregateError ? { errors: describe(error.errors, inside) } : {}),
    stack: error.stack,
    ...(error.cause === undefined ? {} : { cause: describe(error.cause, inside) }),
  };
}
