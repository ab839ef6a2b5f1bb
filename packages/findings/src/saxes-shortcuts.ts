/** The way through plain text that saxes itself takes character by character (docs/decisions/0006). */
import type { SaxesParser, SaxesTagPlain } from 'saxes';

/** What of saxes 6 the shortcut below stands on. */
interface SaxesInside {
  readonly chunk: string;
  i: number;
  text: string;
  name: string;
  tag: SaxesTagPlain;
  state: number;
  forbiddenState: number;
  entityReturnState: number | undefined;
  readonly tags: readonly SaxesTagPlain[];
  readonly currentXMLVersion: string;
  readonly stateTable: readonly unknown[];
  readonly sText: unknown;
  readonly sEntity: unknown;
  readonly sOpenWaka: unknown;
  readonly textHandler: ((text: string) => void) | undefined;
  handleTextInRoot(): void;
  openTag(): void;
  closeTag(): void;
}

const SLASH = 0x2f;
const CLOSING_ANGLE = 0x3e;
const CLOSING_BRACKET = 0x5d;
/** Names of elements that are remembered: exports have about 150. */
const KNOWN_NAMES = 1_000;
const KNOWN_NAME_CHARS = 48;
const NO_ATTRIBUTES: Record<string, string> = Object.freeze(Object.create(null));

/**
 * Most of an export is text, and saxes looks at every character of it. This takes over where nothing can go wrong: text
 * up to the next tag or entity, the end tag that must come, a start tag without attributes whose name saxes has accepted
 * before. All else is left to saxes: carriage returns, `]]>`, what is cut by the end of a piece, XML 1.1, all errors. It
 * needs input without characters that XML 1.0 forbids, as the decoder gives it.
 * @returns to be called before each piece is written.
 */
export function takeShortcuts(saxes: SaxesParser): () => void {
  const parser = saxes as unknown as SaxesInside;
  const bySaxes = parser.handleTextInRoot;
  const inText = parser.stateTable.indexOf(parser.sText);
  const inEntity = parser.stateTable.indexOf(parser.sEntity);
  const inTag = parser.stateTable.indexOf(parser.sOpenWaka);
  // the state before the first `]` of a `]]>`
  const noBracket = parser.forbiddenState;
  const names = new Map<string, string>();
  // where each is found next, at or after the place of the parser; -1 when it has to be looked for
  let angle = -1;
  let entity = -1;
  let carriageReturn = -1;
  let forbidden = -1;

  parser.handleTextInRoot = () => {
    const { chunk, tags } = parser;
    const top = tags[tags.length - 1]?.name ?? '';
    if (!names.has(top) && top.length <= KNOWN_NAME_CHARS && names.size < KNOWN_NAMES) {
      // a copy: a piece of a string keeps the whole of it in memory
      const name = Buffer.from(top).toString();
      names.set(name, name);
    }
    while (tags.length > 0 && parser.i < chunk.length) {
      const from = parser.i;
      if (angle < from) angle = find(chunk, '<', from);
      if (entity < from) entity = find(chunk, '&', from);
      if (carriageReturn < from) carriageReturn = find(chunk, '\r', from);
      if (forbidden < from) forbidden = find(chunk, ']]>', from);
      const end = Math.min(angle, entity, chunk.length);
      if (
        carriageReturn < end ||
        forbidden < end ||
        parser.forbiddenState !== noBracket ||
        parser.currentXMLVersion !== '1.0' ||
        (end === chunk.length && chunk.charCodeAt(end - 1) === CLOSING_BRACKET)
      )
        return bySaxes.call(parser);
      if (end > from) parser.text += chunk.slice(from, end);
      parser.i = end + 1;
      if (end === chunk.length) return;
      if (end === entity) {
        parser.state = inEntity;
        parser.entityReturnState = inText;
        return;
      }
      parser.state = inTag;
      if (parser.text !== '') {
        const { text } = parser;
        parser.text = '';
        parser.textHandler?.(text);
      }
      if (chunk.charCodeAt(end + 1) === SLASH) {
        const name = tags[tags.length - 1]?.name ?? '';
        const close = end + 2 + name.length;
        if (chunk.charCodeAt(close) !== CLOSING_ANGLE || !chunk.startsWith(name, end + 2)) return;
        parser.i = close + 1;
        parser.name = name;
        parser.closeTag();
      } else {
        const close = chunk.indexOf('>', end + 1);
        if (close < 0 || close - end > KNOWN_NAME_CHARS) return;
        const name = names.get(chunk.slice(end + 1, close));
        if (name === undefined) return;
        parser.i = close + 1;
        parser.tag = { name, attributes: NO_ATTRIBUTES, isSelfClosing: false };
        parser.openTag();
      }
    }
  };
  return () => {
    angle = entity = carriageReturn = forbidden = -1;
  };
}

/** Where it is found, or a place behind the end. */
function find(text: string, what: string, from: number): number {
  const at = text.indexOf(what, from);
  return at < 0 ? Number.MAX_SAFE_INTEGER : at;
}
