import { ScanmqError } from '@scanmq/contract';

/** Waits for a service that is away, within bounds. */
export interface Patience {
  /** The service answers. */
  fine(): void;
  /** @throws ScanmqError `unavailable` when it has been away for too long; says how the scan can be found again. */
  away(error: ScanmqError): void;
}

/** @param onChange told when it goes away (with what is wrong), and when it is back (undefined). */
export function createPatience(
  patienceMs: number,
  taskId: string,
  onChange: (trouble: ScanmqError | undefined) => void,
): Patience {
  let sinceMs: number | undefined;
  return {
    fine() {
      if (sinceMs === undefined) return;
      sinceMs = undefined;
      onChange(undefined);
    },
    away(error) {
      if (sinceMs === undefined) {
        sinceMs = Date.now();
        onChange(error);
      }
      if (Date.now() - sinceMs < patienceMs) return;
      throw new ScanmqError('unavailable', `${error.message} The scan goes on. ${howToGoOn(taskId)}`, {
        cause: error,
      });
    },
  };
}

/** For whoever stops following a scan that goes on. */
export function howToGoOn(taskId: string): string {
  return `Follow it with "scanmq status ${taskId} --wait", cancel it with "scanmq cancel ${taskId}".`;
}

export function isAway(error: unknown): error is ScanmqError {
  return error instanceof ScanmqError && error.code === 'unavailable';
}

/** Ends early when the signal is aborted. */
export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted) return;
  await new Promise<void>((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener('abort', end);
  });
}
