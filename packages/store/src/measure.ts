import { createHash } from 'node:crypto';
import { Transform } from 'node:stream';

/** Passes bytes on, and counts and hashes them. `result` tells of those that have passed, once. */
export function measure(): { readonly stream: Transform; result(): { bytes: number; sha256: string } } {
  const hash = createHash('sha256');
  let bytes = 0;
  const stream = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  return { stream, result: () => ({ bytes, sha256: hash.digest('hex') }) };
}
