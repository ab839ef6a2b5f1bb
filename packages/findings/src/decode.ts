import { isAscii } from 'node:buffer';
import { TextDecoder } from 'node:util';
import { InvalidExportError } from './invalid-export.js';

/** Enough of the beginning to hold a byte order mark and the XML declaration. */
const HEAD_BYTES = 256;
/** Bytes decoded at once: their text is small enough to stay in the processor's cache and in the young part of the heap. */
const PIECE_BYTES = 32 * 1024;
const NOTHING: Uint8Array = new Uint8Array();

// Whatever XML 1.0 does not allow; control characters were seen raw in banners (nessus-api.md section 9.6).
const ILLEGAL = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;

// The same without the halves of surrogate pairs, which are no UTF-8: twice as fast.
const ILLEGAL_FROM_UTF8 = /[^\t\n\r\u0020-\ufffd]/;

/** The text of an export, piece by piece, and what had to be taken out of it. */
export interface DecodedText {
  /** Characters that XML 1.0 allows, and no halves of a surrogate pair; pieces of at most 32 Ki characters. */
  pieces(): AsyncGenerator<string>;
  /** Control characters removed so far; XML does not allow them, scanned hosts send them. */
  removedCharacters(): number;
}

/** Text of the next bytes, as far as it is complete; without more to come, of what is left. */
type Decode = (bytes: Uint8Array, more: boolean) => string;

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
    let decode: Decode = () => '';
    for await (const chunk of bytes) {
      let next: Uint8Array = chunk;
      if (head) {
        head = Buffer.concat([head, chunk]);
        if (head.length < HEAD_BYTES) continue;
        decode = decoderFor(head, clean);
        next = head;
        head = undefined;
      }
      for (let at = 0; at < next.length; at += PIECE_BYTES)
        yield decode(next.subarray(at, at + PIECE_BYTES), true);
    }
    if (head) {
      decode = decoderFor(head, clean);
      yield decode(head, true);
    }
    yield decode(NOTHING, false);
  }

  return { pieces, removedCharacters: () => removed };
}

function decoderFor(head: Buffer, clean: (text: string) => string): Decode {
  const encoding = encodingOf(head);
  const decoder = encoding === 'utf-8' ? decodeUtf8(clean) : decodeOther(encoding, clean);
  return (bytes, more) => {
    try {
      return decoder(bytes, more);
    } catch (error) {
      throw new InvalidExportError('malformed', `its bytes are not ${encoding}`, error);
    }
  };
}

function decodeOther(encoding: string, clean: (text: string) => string): Decode {
  const decoder = new TextDecoder(encoding, { fatal: true });
  return (bytes, more) => clean(decoder.decode(bytes, { stream: more }));
}

/**
 * As `TextDecoder` with `stream` does it, which is slow in Node: the bytes of a character that goes on in the next piece
 * are kept back, so that every call decodes whole characters.
 */
function decodeUtf8(clean: (text: string) => string): Decode {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let rest = NOTHING;
  let begun = false;
  return (bytes, more) => {
    const all = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    const end = more ? all.length - unfinishedBytes(all) : all.length;
    const whole = all.subarray(0, end);
    // a copy: the source may use its memory again
    rest = end === all.length ? NOTHING : Uint8Array.from(all.subarray(end));
    let text = isAscii(whole)
      ? Buffer.from(whole.buffer, whole.byteOffset, whole.length).toString('latin1')
      : decoder.decode(whole);
    if (!begun && text !== '') {
      begun = true;
      if (text.startsWith('\ufeff')) text = text.slice(1);
    }
    return ILLEGAL_FROM_UTF8.test(text) ? clean(text) : text;
  };
}

/** How many bytes at the end begin a character of UTF-8 and do not finish it: 0 to 3. */
function unfinishedBytes(bytes: Uint8Array): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) {
      const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return length > back ? back : 0;
    }
  }
  return 0;
}

/** The name of the encoding, as `TextDecoder` calls it. */
function encodingOf(head: Buffer): string {
  if (head[0] === 0xff && head[1] === 0xfe) return 'utf-16le';
  if (head[0] === 0xfe && head[1] === 0xff) return 'utf-16be';
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
    return new TextDecoder(declared, { fatal: true }).encoding;
  } catch (error) {
    throw new InvalidExportError('malformed', `its encoding '${declared}' is not known`, error);
  }
}
