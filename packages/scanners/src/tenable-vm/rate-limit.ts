/**
 * Requests that the cloud service turns away because there are too many: 429, and when to come back in `Retry-After`.
 * It counts all requests of one user per minute (developer.tenable.com/docs/rate-limiting), and apart from that the
 * active scans at a launch and the exports being made (developer.tenable.com/docs/concurrency-limiting).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type InstanceKey, ScannerError } from '@scanmq/contract';
import type { Call, NessusApi } from '../nessus/api.js';

/** Requests sent for one call (pyTenable, `tenable/base/platform.py`: `_retries = 5`). */
const TRIES = 5;
/** One call waits no longer in all; whoever called then waits for the scanner as for one that is away. */
const LONGEST_WAIT_MS = 120_000;
/** Where the answer names no time: doubled each time (pyTenable: `_backoff = 1`). */
const FIRST_PAUSE_MS = 1_000;
/** A time further off than this is taken for a mistake. */
const LONGEST_HOLD_MS = 15 * 60_000;

interface Request {
  readonly operation: string;
  readonly signal?: AbortSignal | undefined;
  readonly sendBeforeMs?: number | undefined;
}

/**
 * Waits as long as the service asks, then sends again; writes too, because what was turned away was not executed.
 * Nothing of the same sort is sent meanwhile: all reads share one hold, each kind of write has its own, so that a launch
 * that waits for a free place does not keep a stop waiting.
 */
export function withRateLimit(api: NessusApi, instanceKey: InstanceKey): NessusApi {
  const heldUntil = new Map<string, number>();

  async function politely<A extends { readonly status: number; readonly retryAfterMs?: number | undefined }>(
    hold: string,
    request: Request,
    send: () => Promise<A>,
    discard: (answer: A) => void,
  ): Promise<A> {
    const giveUpAt = Math.min(Date.now() + LONGEST_WAIT_MS, request.sendBeforeMs ?? Number.POSITIVE_INFINITY);
    for (let tries = 1; ; tries += 1) {
      const until = heldUntil.get(hold) ?? 0;
      if (until > giveUpAt) throw turnedAway(request, until);
      if (until > Date.now()) await pause(until - Date.now(), request.signal);
      const answer = await send();
      if (answer.status !== 429) return answer;
      discard(answer);
      const asked = answer.retryAfterMs ?? FIRST_PAUSE_MS * 2 ** (tries - 1);
      const next = Date.now() + Math.min(asked, LONGEST_HOLD_MS);
      // several answers may come at once: the latest time counts
      heldUntil.set(hold, Math.max(next, heldUntil.get(hold) ?? 0));
      if (tries >= TRIES) throw turnedAway(request, next);
    }
  }

  function turnedAway({ operation }: Request, untilMs: number): ScannerError {
    const seconds = Math.max(0, Math.ceil((untilMs - Date.now()) / 1_000));
    return new ScannerError(
      'scanner_unreachable',
      `${instanceKey} takes no request for '${operation}' now: there were too many (429). It asks to come back in ${seconds} s.`,
      { instanceKey, operation, scannerHttpStatus: 429, retryAfterSeconds: seconds },
    );
  }

  return {
    async call(call: Call) {
      const answer = await politely(
        call.kind === 'read' ? 'read' : call.operation,
        call,
        () => api.call({ ...call, accept: [...(call.accept ?? []), 429] }),
        () => undefined,
      );
      return answer;
    },
    download: (request) =>
      politely(
        'read',
        request,
        () => api.download(request),
        ({ body }) => body.destroy(),
      ),
  };
}

/** @throws the reason of the signal when it is aborted. */
async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, undefined, signal ? { signal } : {});
  } catch {
    signal?.throwIfAborted();
  }
}
