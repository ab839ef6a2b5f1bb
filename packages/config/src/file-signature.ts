import type { Stats } from 'node:fs';

/**
 * Tells one state of a file from another: written, replaced, linked elsewhere, removed. Some file systems tell times to
 * the second only: two changes in one of them may look like one.
 * @param stats undefined where there is no file: the empty text.
 */
export function fileSignature(stats: Stats | undefined): string {
  return stats ? [stats.dev, stats.ino, stats.size, stats.mtimeMs, stats.ctimeMs].join(' ') : '';
}
