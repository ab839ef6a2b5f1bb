/** Large enough that a write is not felt, small enough that a slow reader holds little. */
const CHUNK_CHARS = 32 * 1024;

/** The same text in chunks of some 32,000 characters, the last may be shorter: small pieces are slow to send one by one. */
export async function* inChunks(pieces: AsyncIterable<string> | Iterable<string>): AsyncGenerator<string> {
  let chunk = '';
  for await (const piece of pieces) {
    chunk += piece;
    if (chunk.length < CHUNK_CHARS) continue;
    yield chunk;
    chunk = '';
  }
  if (chunk !== '') yield chunk;
}
