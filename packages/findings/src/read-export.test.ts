import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SaxesParser } from 'saxes';
import { decodeXml } from './decode.js';
import { readExport } from './read-export.js';
import { takeShortcuts } from './saxes-shortcuts.js';

type Event = readonly unknown[];

/** Whatever a parser tells of these pieces, up to its first error. */
function eventsOf(pieces: readonly string[], prepare?: (parser: SaxesParser) => () => void): Event[] {
  const events: Event[] = [];
  const parser = new SaxesParser({ position: false });
  const begin = prepare?.(parser) ?? (() => undefined);
  parser.on('opentag', ({ name, attributes, isSelfClosing }) =>
    events.push(['open', name, { ...attributes }, isSelfClosing]),
  );
  parser.on('closetag', ({ name }) => events.push(['close', name]));
  parser.on('text', (text) => events.push(['text', text]));
  parser.on('cdata', (text) => events.push(['cdata', text]));
  parser.on('comment', (text) => events.push(['comment', text]));
  parser.on('processinginstruction', ({ target, body }) => events.push(['pi', target, body]));
  try {
    for (const piece of pieces) {
      begin();
      parser.write(piece);
    }
    begin();
    parser.close();
  } catch (error) {
    events.push(['error', (error as Error).message]);
  }
  return events;
}

/** Pieces of XML that meet each other in all orders: well-formed documents, and many that are not. */
const FRAGMENTS = [
  ...[
    '<a>',
    '</a>',
    '<b>',
    '</b>',
    '<a/>',
    '<ab>',
    '</ab>',
    '<a >',
    '</a >',
    '</a\n>',
    '<b x="1">',
    '<a:b>',
    '</a:b>',
  ],
  ...[
    '<b x=\'>\' y="&lt;]]>">',
    '<b x="1" x="2">',
    '<b x=1>',
    '<b x>',
    '< a>',
    '</ a>',
    '<a',
    '</a',
    '<1>',
    '</>',
  ],
  ...[
    '<',
    '>',
    '&',
    ';',
    '&amp;',
    '&lt;',
    '&#65;',
    '&#x1F600;',
    '&#0;',
    '&nosuch;',
    '&;',
    ']]>',
    ']]',
    ']',
    ']>',
  ],
  ...[
    '<![CDATA[',
    '<![CDATA[]]>',
    '<![CDATA[<a>]]>',
    '<![CDATA[]]]]>',
    '<!--',
    '-->',
    '<!-- x -->',
    '<!---->',
    '--',
  ],
  ...[
    '<?pi x?>',
    '<?xml version="1.0"?>',
    '<!DOCTYPE a>',
    'text',
    ' ',
    '\n',
    '\r',
    '\r\n',
    '\t',
    'ü',
    '€',
    '😀',
    '\u0085',
  ],
];

const document = fc
  .tuple(
    fc.constantFrom('', '<?xml version="1.0"?>', '<?xml version="1.1"?>', '\ufeff<?xml version="1.0"?>\r\n'),
    // most errors end a document at once: weights for what does not
    fc.array(
      fc.oneof(
        {
          weight: 6,
          arbitrary: fc.constantFrom(
            '<a>x</a>',
            '<b>&amp;]</b>',
            '<ab>\n</ab>',
            '<a>\r\n</a>',
            '<b x="1">',
            '</b>',
          ),
        },
        {
          weight: 3,
          arbitrary: fc.constantFrom(
            'text',
            '\n  ',
            ']',
            '&gt;',
            '😀',
            '<a/>',
            '<a>',
            '</a>',
            '<![CDATA[<]]>',
          ),
        },
        { weight: 1, arbitrary: fc.constantFrom(...FRAGMENTS) },
      ),
      { maxLength: 30 },
    ),
    fc.constantFrom('', '</r>', '</r>\n', '</r><r/>', '</r>x'),
  )
  .map(([declaration, parts, end]) => `${declaration}<r>${parts.join('')}${end}`);

function cut(text: string, places: readonly number[]): string[] {
  // a decoder never cuts a pair in two
  const borders = [...new Set([0, ...places.map((place) => place % (text.length + 1)), text.length])]
    .filter((place) => !/[\ud800-\udbff]/.test(text[place - 1] ?? ''))
    .sort((a, b) => a - b);
  return borders.slice(1).map((border, index) => text.slice(borders[index], border));
}

describe('the shortcuts past saxes', () => {
  it('tell what saxes tells, of right and wrong documents, wherever these are cut', () => {
    fc.assert(
      fc.property(document, fc.array(fc.nat(), { maxLength: 8 }), (text, places) => {
        const pieces = cut(text, places);
        expect(eventsOf(pieces, takeShortcuts)).toEqual(eventsOf(pieces));
      }),
      { numRuns: 10_000 },
    );
  });

  it('tell what saxes tells when two pieces are equal', () => {
    const piece = '<a>x&amp;</a><a>]</a>\r\n<a></a>';
    const pieces = ['<r>', piece, piece, piece, '</r>'];
    const events = eventsOf(pieces, takeShortcuts);
    expect(events).toEqual(eventsOf(pieces));
    expect(events.filter(([kind]) => kind === 'open')).toHaveLength(10);
  });

  it('are in use', () => {
    let asked = 0;
    eventsOf([`<r><a>x</a>${'<a>text</a>\n'.repeat(1_000)}</r>`], (parser) => {
      const inside = parser as unknown as { sOpenTag(): void; sCloseTag(): void; stateTable: unknown[] };
      for (const state of [inside.sOpenTag, inside.sCloseTag]) {
        inside.stateTable[inside.stateTable.indexOf(state)] = function (this: unknown) {
          asked += 1;
          state.call(this);
        };
      }
      return takeShortcuts(parser);
    });
    // <r> and the first <a>
    expect(asked).toBeLessThanOrEqual(3);
  });

  it('keep the limit of attributes, and of depth', async () => {
    const open = '<NessusClientData_v2><Report name="r"><ReportHost name="h">';
    async function* bytes(text: string): AsyncGenerator<Uint8Array> {
      yield Buffer.from(text);
    }
    await expect(readExport(bytes(`${open}<ReportItem a="${'x'.repeat(65_537)}">`), {})).rejects.toThrow(
      'an attribute is longer than 65536 characters',
    );
    await expect(readExport(bytes(`${open}${'<a>'.repeat(65)}`), {})).rejects.toThrow(
      'nested more than 64 deep',
    );
  });

  it('leave attributes alone that are handed over', async () => {
    async function* bytes(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(
        '<NessusClientData_v2><Report name="r"><ReportHost name="h"><ReportItem><a>1</a></ReportItem><ReportItem a="1"/><ReportItem/><ReportItem></ReportItem></ReportHost></Report></NessusClientData_v2>',
      );
    }
    const attributes: unknown[] = [];
    await readExport(bytes(), { onItem: (item) => attributes.push({ ...item.attributes }) });
    expect(attributes).toEqual([{}, { a: '1' }, {}, {}]);
  });
});

describe('the decoder', () => {
  const decode = async (pieces: readonly Uint8Array[]): Promise<string> => {
    async function* source(): AsyncGenerator<Uint8Array> {
      yield* pieces;
    }
    const decoded = decodeXml(source());
    let text = '';
    try {
      for await (const piece of decoded.pieces()) text += piece;
    } catch (error) {
      expect(error).toMatchObject({ code: 'invalid_export' });
      return 'refused';
    }
    return `${decoded.removedCharacters()} ${text}`;
  };
  const bytesAt = (bytes: Uint8Array, places: readonly number[]): Uint8Array[] => {
    const borders = [
      0,
      ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b),
      bytes.length,
    ];
    return borders.slice(1).map((border, index) => bytes.subarray(borders[index], border));
  };
  const expected = (bytes: Uint8Array): string => {
    try {
      const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
      const clean = text.replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '');
      return `${[...text].length - [...clean].length} ${clean}`;
    } catch {
      return 'refused';
    }
  };
  /** Longer than what it looks at to find the encoding. */
  const beginning = Buffer.from(`<a>${' '.repeat(300)}`);
  const some = fc.oneof(
    fc.constantFrom(
      'a',
      '\n',
      '\t',
      'ü',
      '€',
      '😀',
      '\ufeff',
      '\ufffe',
      '\uffff',
      '\ufffd',
      '\u0000',
      '\u001f',
      '\u007f',
      '\u0085',
    ),
    fc.string({ unit: 'binary' }),
  );

  it.each([
    ['', Buffer.alloc(0)],
    [' after a byte order mark', Buffer.from([0xef, 0xbb, 0xbf])],
  ])('reads UTF-8%s as TextDecoder does, wherever it is cut', async (_, mark) => {
    await fc.assert(
      fc.asyncProperty(fc.array(some), fc.array(fc.nat()), async (texts, places) => {
        const bytes = Buffer.concat([mark, beginning, Buffer.from(texts.join(''))]);
        expect(await decode(bytesAt(bytes, places))).toBe(expected(bytes));
      }),
      { numRuns: 1_000 },
    );
  });

  it('refuses what TextDecoder refuses', async () => {
    const odd = fc.oneof(
      fc.uint8Array({ maxLength: 4 }),
      fc.constantFrom(
        ...[[0xc3], [0xe2, 0x82], [0xf0, 0x9f, 0x98], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5]].map((bytes) =>
          Uint8Array.from(bytes),
        ),
      ),
      fc.constant(Buffer.from('€ä😀')),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(odd), fc.array(fc.nat()), async (parts, places) => {
        const bytes = Buffer.concat([beginning, ...parts]);
        expect(await decode(bytesAt(bytes, places))).toBe(expected(bytes));
      }),
      { numRuns: 2_000 },
    );
  });

  it('does not look again at memory that the source uses for its next piece', async () => {
    const whole = Buffer.concat([beginning, Buffer.from('€'.repeat(100))]);
    async function* reusing(): AsyncGenerator<Uint8Array> {
      const memory = Buffer.alloc(310);
      for (let at = 0; at < whole.length; at += memory.length) {
        const length = whole.copy(memory, 0, at, at + memory.length);
        yield memory.subarray(0, length);
        memory.fill(0);
      }
    }
    let text = '';
    for await (const piece of decodeXml(reusing()).pieces()) text += piece;
    expect(text).toBe(whole.toString());
  });

  it('gives pieces of bounded length', async () => {
    async function* source(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(`<a>${'x'.repeat(1_000_000)}`);
    }
    let longest = 0;
    for await (const piece of decodeXml(source()).pieces()) longest = Math.max(longest, piece.length);
    expect(longest).toBeLessThanOrEqual(32 * 1024);
  });
});
