/** Why a run is stopped from outside, and waiting that such a stop ends at once. */
import { setTimeout as delay } from 'node:timers/promises';

/**
 * - `cancel`: somebody asked; the scan is stopped on the scanner.
 * - `deadline`: the time limit passed; the scan is stopped on the scanner.
 * - `shutdown`: this worker ends; the job is handed to another, the scan goes on.
 * - `lock_lost`, `superseded`: another run owns the task; nothing may be touched any more.
 */
export type InterruptionKind = 'cancel' | 'deadline' | 'shutdown' | 'lock_lost' | 'superseded';

export class Interruption extends Error {
  readonly kind: InterruptionKind;
  constructor(kind: InterruptionKind) {
    super(`interrupted: ${kind}`);
    this.name = 'Interruption';
    this.kind = kind;
  }
}

/** The interruption behind an aborted signal; undefined while it is not aborted. */
export function interruptionOf(signal: AbortSignal): InterruptionKind | undefined {
  if (!signal.aborted) return undefined;
  return signal.reason instanceof Interruption ? signal.reason.kind : 'lock_lost';
}

/** Waits. @throws the reason of the signal as soon as it is aborted. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

/** What can interrupt one run, from outside of it. */
export interface Interrupts {
  interrupt(kind: InterruptionKind): void;
  /** Ends the nap of the run: what is wanted of its task has changed. */
  wake(): void;
  /** Waits, at most until somebody wakes it. @throws the reason of the signal as soon as it is aborted. */
  nap(ms: number, signal: AbortSignal): Promise<void>;
  /** Aborted by the first interruption of any kind: the run is over. */
  readonly any: AbortSignal;
  /** Aborted only by those after which the scan on the scanner may not even be stopped: somebody else goes on with it. */
  readonly final: AbortSignal;
}

export function createInterrupts(): Interrupts {
  const any = new AbortController();
  const final = new AbortController();
  // a call that comes while nobody naps counts for the next nap
  let woken = false;
  let waker: AbortController | undefined;
  return {
    wake() {
      woken = true;
      waker?.abort();
    },
    async nap(ms, signal) {
      waker = new AbortController();
      if (woken) waker.abort();
      try {
        await sleep(ms, AbortSignal.any([signal, waker.signal]));
      } catch (error) {
        signal.throwIfAborted();
        if (!waker.signal.aborted) throw error;
      } finally {
        woken = false;
        waker = undefined;
      }
    },
    any: any.signal,
    final: final.signal,
    interrupt(kind) {
      const reason = new Interruption(kind);
      any.abort(reason);
      if (kind !== 'cancel' && kind !== 'deadline') final.abort(reason);
    },
  };
}
