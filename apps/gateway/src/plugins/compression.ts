import { constants } from 'node:zlib';
import compress from '@fastify/compress';
import type { FastifyInstance } from 'fastify';

/** Smaller answers are sent faster than they are compressed. */
const THRESHOLD_BYTES = 8 * 1024;

/**
 * Compresses long answers for those who accept it, while they are sent: a download is never held in memory whole. Leaves
 * alone what is compressed already, and streams of events, which must not wait in a compressor.
 */
export async function installCompression(app: FastifyInstance): Promise<void> {
  await app.register(compress, {
    threshold: THRESHOLD_BYTES,
    encodings: ['br', 'gzip'],
    // between the two, this is where the time for a download is least
    brotliOptions: { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } },
    zlibOptions: { level: 4 },
    // a small body that unpacks to a huge one would go around the limits on bodies
    globalDecompression: false,
  });
}
