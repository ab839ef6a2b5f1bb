import { TextDecoder } from 'node:util';
import { InvalidExportError } from './invalid-export.js';

/** Enough of the beginning to hold a byte order mark and the XML declaration. */
const HEAD_BYTES = 256;

// Whatever XML 1.0 does not allow; control characters were seen raw in banners (nessus-api.md section 9.6).
const ILLEGAL = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;

/** The text of an export, piece by piece, and what had to be taken out of it. */
export interface DecodedText {
  pieces(): AsyncGenerator<string>;
  /** Control characters removed so far; XML does not allow them, scanned hosts send them. */
  removedCharacters(): number;
}

/**
 * Decodes bytes by their byte order mark or XML declaration, UTF-8 otherwise. Control characters are taken out and counted,
 * because nothing is lost with them; bytes outside the encoding are refused, because what they stood for is lost.
 * Its pieces throw InvalidExportError when the bytes are not what they claim to be.
 */
export function decodeXml(bytes: AsyncIterable<Uint8Array>): DecodedText {
  let removed = 0;
  const clean = (text: string): string =>
    text.replace(ILLEGAL, () => {
      removed += 1;
      return '';
    });

  async function* pieces(): AsyncGenerator<string> {
    let head: Buffer | undefined = Buffer.alloc(0);
    let decoder: TextDecoder | undefined;
    for await (const chunk of bytes) {
      let next: Uint8Array = chunk;
      if (head) {
        head = Buffer.concat([head, chunk]);
        if (head.length < HEAD_BYTES) continue;
        decoder = decoderFor(head);
        next = head;
        head = undefined;
      }
      yield clean(decode(decoder, next, true));
    }
    if (head) {
      decoder = decoderFor(head);
      yield clean(decode(decoder, head, true));
    }
    yield clean(decode(decoder, new Uint8Array(), false));
  }

  return { pieces, removedCharacters: () => removed };
}

function decode(decoder: TextDecoder | undefined, bytes: Uint8Array, more: boolean): string {
  try {
    return decoder?.decode(bytes, { stream: more }) ?? '';
  } catch (error) {
    throw new InvalidExportError('malformed', `its bytes are not ${decoder?.encoding ?? 'text'}`, error);
  }
}

function decoderFor(head: Buffer): TextDecoder {
  if (head[0] === 0xff && head[1] === 0xfe) return new TextDecoder('utf-16le', { fatal: true });
  if (head[0] === 0xfe && head[1] === 0xff) return new TextDecoder('utf-16be', { fatal: true });
  const start = head
    .subarray(0, HEAD_BYTES)
    .toString('latin1')
    .replace(/^\u00ef\u00bb\u00bf/, '');
  const first = start.trimStart()[0];
  if (first === '{')
    throw new InvalidExportError(
      'malformed',
      'it is JSON, probably an error message that was saved as a file',
    );
  if (first !== undefined && first !== '<')
    throw new InvalidExportError('malformed', 'it does not begin like XML');
  const declared = /^<\?xml[^>]*\bencoding\s*=\s*["']([A-Za-z0-9._-]+)["']/.exec(start)?.[1] ?? 'utf-8';
  try {
    return new TextDecoder(declared, { fatal: true });
  } catch (error) {
    throw new InvalidExportError('malformed', `its encoding '${declared}' is not known`, error);
  }
}
