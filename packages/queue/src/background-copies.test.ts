import { describe, expect, it } from '@jest/globals';
import { createBackgroundCopies } from './background-copies.js';

describe('copies that are written in the background', () => {
  it('are written one after the other, each once, and all of them before the end', async () => {
    const written: string[] = [];
    let atOnce = 0;
    const copies = createBackgroundCopies(async (taskId) => {
      atOnce += 1;
      expect(atOnce).toBe(1);
      await new Promise((resolve) => setImmediate(resolve));
      written.push(taskId);
      atOnce -= 1;
    });
    for (const taskId of ['a', 'b', 'b', 'c']) await copies.add(taskId);
    await copies.close(1_000);
    expect(written).toEqual(['a', 'b', 'c']);
    // and again after there was nothing to do
    const more = createBackgroundCopies(async (taskId) => void written.push(taskId));
    await more.add('d');
    await more.close(1_000);
    await more.close(1_000);
    expect(written.at(-1)).toBe('d');
  });

  it('are left alone when the end comes and they take too long', async () => {
    const written: string[] = [];
    let release = (): void => undefined;
    const copies = createBackgroundCopies(async (taskId) => {
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      written.push(taskId);
    });
    await copies.add('a');
    await copies.add('b');
    await copies.close(20);
    release();
    await new Promise((resolve) => setImmediate(resolve));
    expect(written).toEqual(['a']);
  });
});
