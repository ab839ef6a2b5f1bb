/** Results that are being read. Their files may be copies that are cleared away when nobody needs them any more. */
import type { TaskRecord } from '@scanmq/contract';
import type { Results } from '@scanmq/findings';
import type { TaskFiles } from '@scanmq/store';

export interface HeldResults {
  readonly task: TaskRecord;
  readonly results: Results;
  readonly files: TaskFiles;
}

export async function letGo(held: readonly HeldResults[]): Promise<void> {
  for (const { files } of held) await files.close();
}

/** What comes after an opening and goes on holding it; when it fails, nothing is held. */
export async function orLetGo<T>(held: readonly HeldResults[], next: () => Promise<T>): Promise<T> {
  try {
    return await next();
  } catch (error) {
    await letGo(held);
    throw error;
  }
}

/** Uses results, and lets go of their files. */
export async function holding<T>(held: readonly HeldResults[], use: () => Promise<T>): Promise<T> {
  try {
    return await use();
  } finally {
    await letGo(held);
  }
}

/** A document that is written while it is read: the files are kept until then. */
export async function writtenOut<D extends { readonly body: AsyncIterable<string> }>(
  held: readonly HeldResults[],
  write: () => Promise<D>,
): Promise<D> {
  const document = await orLetGo(held, write);
  return { ...document, body: heldWhileRead(held, document.body) };
}

/** An answer that is read bit by bit: the files are let go when it ends, breaks off, or was never begun. */
export function heldWhileRead<T>(held: readonly HeldResults[], answer: AsyncIterable<T>): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const reading = answer[Symbol.asyncIterator]();
      // no generator: one that was never begun would not come to its end either
      return {
        async next() {
          for (const { files } of held) files.touch();
          const step = await orLetGo(held, () => reading.next());
          if (step.done) await letGo(held);
          return step;
        },
        async return() {
          try {
            await reading.return?.();
          } finally {
            await letGo(held);
          }
          return { done: true, value: undefined };
        },
      };
    },
  };
}
