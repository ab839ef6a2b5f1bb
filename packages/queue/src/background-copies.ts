/**
 * Copies of new records, written one after the other beside the requests that made them: making a directory and a file
 * takes longer than all the rest of a submission. The record is the truth meanwhile.
 */
export interface BackgroundCopies {
  /** Resolves at once, unless so many wait already that whoever submits has to wait too. */
  add(taskId: string): Promise<void>;
  /** Writes what still waits, but not for longer than this. */
  close(graceMs: number): Promise<void>;
}

/** Ids only, so that this is about a megabyte. */
const MOST_WAITING = 20_000;

/** @param copy writes the file of a task as its record is then; never rejects. */
export function createBackgroundCopies(copy: (taskId: string) => Promise<void>): BackgroundCopies {
  const waiting = new Set<string>();
  let running: Promise<void> | undefined;
  let closed = false;

  async function run(): Promise<void> {
    for (const taskId of waiting) {
      if (closed) break;
      waiting.delete(taskId);
      await copy(taskId);
    }
    running = undefined;
  }

  return {
    async add(taskId) {
      if (waiting.size >= MOST_WAITING) {
        await copy(taskId);
        return;
      }
      waiting.add(taskId);
      running ??= run();
    },
    async close(graceMs) {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, graceMs);
      });
      await Promise.race([running, late]);
      clearTimeout(timer);
      closed = true;
    },
  };
}
