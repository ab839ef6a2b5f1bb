import type { Client } from './client.js';
import { howToGoOn } from './patience.js';

export interface CtrlC {
  /** Aborted when somebody does not want to follow any more. */
  readonly left: AbortSignal;
  /** Ctrl-C does what it does elsewhere again. */
  close(): void;
}

/** After the first Ctrl-C: so long a second one can still leave the scan running. */
const SECOND_THOUGHTS_MS = 2_000;

/** Ctrl-C only stops following. */
export function leaveOnCtrlC(): CtrlC {
  const left = new AbortController();
  return onCtrlC(left.signal, () => left.abort());
}

/**
 * Ctrl-C has the service cancel the scan, after a moment for second thoughts; the second Ctrl-C stops following, and
 * leaves the scan running if it comes within that moment.
 */
export function cancelOnCtrlC(client: Client, taskId: string, say: (message: string) => void): CtrlC {
  const left = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  async function cancel(): Promise<void> {
    try {
      const { message } = await client.cancel(taskId, {
        reason: 'Ctrl-C on the command line',
        keep_results: false,
      });
      say(message);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      say(`It could not be cancelled: ${why} Ctrl-C once more leaves it running.`);
    }
  }
  const ctrlC = onCtrlC(left.signal, () => {
    if (timer === undefined) {
      timer = setTimeout(() => void cancel(), SECOND_THOUGHTS_MS);
      say(`The scan is cancelled in ${SECOND_THOUGHTS_MS / 1_000} s. Ctrl-C once more leaves it running.`);
      return;
    }
    clearTimeout(timer);
    left.abort();
  });
  return {
    left: ctrlC.left,
    close() {
      clearTimeout(timer);
      ctrlC.close();
    },
  };
}

function onCtrlC(left: AbortSignal, pressed: () => void): CtrlC {
  process.on('SIGINT', pressed);
  return { left, close: () => void process.off('SIGINT', pressed) };
}

/** What somebody is told who stopped following. */
export function farewell(taskId: string): string {
  return `No longer following. ${howToGoOn(taskId)}`;
}
