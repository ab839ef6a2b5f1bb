import { createReadStream } from 'node:fs';

/** One line of a file and where it stands. */
export interface Line {
  readonly offset: number;
  readonly length: number;
  readonly text: string;
}

const NEWLINE = 0x0a;

/** Lines of a UTF-8 file, one after the other, with their places; memory is bounded by the longest line. */
export async function* readLines(path: string): AsyncGenerator<Line> {
  let rest: Buffer = Buffer.alloc(0);
  let offset = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 256 * 1024 })) {
    let data: Buffer = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (let end = data.indexOf(NEWLINE); end >= 0; end = data.indexOf(NEWLINE)) {
      yield { offset, length: end, text: data.toString('utf8', 0, end) };
      offset += end + 1;
      data = data.subarray(end + 1);
    }
    rest = data;
  }
}
