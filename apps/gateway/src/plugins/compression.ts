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
    // gzip takes the least time, and sends on what it is given soonest
    encodings: ['gzip', 'br'],
    zlibOptions: { level: 4 },
    // with its usual window Brotli holds back nine megabytes of findings before it sends the first of them
    brotliOptions: { params: { [constants.BROTLI_PARAM_QUALITY]: 4, [constants.BROTLI_PARAM_LGWIN]: 18 } },
    // a small body that unpacks to a huge one would go around the limits on bodies
    globalDecompression: false,
  });
}
