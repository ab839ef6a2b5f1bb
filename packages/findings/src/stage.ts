import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { finished } from 'node:stream/promises';

/** Rows on their way into a table, as lines of JSON in a file of their own. */
export interface Stage {
  readonly path: string;
  add(row: object): void;
  /** Bytes of the longest row so far; an upper bound. */
  readonly longestRow: number;
  /** Writes what was added; waits while the disk is slower than we are. */
  flush(): Promise<void>;
  /** Ends the file. @throws errors of the file system. */
  end(): Promise<void>;
  discard(): Promise<void>;
}

/** UTF-16 units never take more bytes than this in UTF-8. */
const BYTES_PER_UNIT = 3;

export function createStage(path: string): Stage {
  const out = createWriteStream(path, { mode: 0o640, highWaterMark: 1024 * 1024 });
  const written = finished(out);
  // a failing disk is reported by the awaits below
  written.catch(() => undefined);
  let lines: string[] = [];
  let longest = 0;
  return {
    path,
    get longestRow() {
      return longest * BYTES_PER_UNIT;
    },
    add(row) {
      const line = JSON.stringify(row);
      if (line.length > longest) longest = line.length;
      lines.push(line, '\n');
    },
    async flush() {
      if (lines.length === 0) return;
      const flowing = out.write(lines.join(''));
      lines = [];
      if (!flowing) await Promise.race([once(out, 'drain'), written]);
    },
    async end() {
      out.end(lines.join(''));
      lines = [];
      await written;
    },
    async discard() {
      out.destroy();
      await rm(path, { force: true });
    },
  };
}
