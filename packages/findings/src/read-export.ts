/**
 * One streaming pass over a `.nessus` v2 export (nessus-api.md section 9). Memory is bounded by the largest single item,
 * not by the file or a host. Nothing is dropped: unknown elements and tags come out like all others.
 */
import { setImmediate as breathe } from 'node:timers/promises';
import { LIMITS } from '@scanmq/contract';
import { SaxesParser, type SaxesTagPlain } from 'saxes';
import { decodeXml } from './decode.js';
import { InvalidExportError } from './invalid-export.js';
import { takeShortcuts } from './saxes-shortcuts.js';

/** A ReportItem as it stands: attributes, and child elements in document order, texts untrimmed. */
export interface RawItem {
  readonly attributes: Readonly<Record<string, string>>;
  /** `[element name with its prefix, text]`; elements may repeat. */
  readonly elements: readonly (readonly [name: string, text: string])[];
  /** Names of the `attachment` elements, in their order; the files themselves are not in an export. */
  readonly attachmentNames: readonly string[];
}

/** Called while the file is read. Items come before a late error is known: stage what they make, then commit. */
export interface ExportVisitor {
  onReport?(name: string): void;
  onHost?(name: string): void;
  /** A tag of HostProperties. */
  onHostTag?(name: string, text: string): void;
  onItem?(item: RawItem): void;
  onHostEnd?(): void;
}

export interface ExportFacts {
  readonly reportName: string;
  readonly hosts: number;
  readonly items: number;
  /** Control characters that had to be taken out to make it XML. */
  readonly removedCharacters: number;
}

const ROOT = 'NessusClientData_v2';
/** Characters parsed before other work gets its turn: one or two milliseconds. */
const SLICE_CHARS = 128 * 1024;
/** What an element takes in memory beside its text, counted as characters of its item. */
const ELEMENT_COST = 64;

/**
 * Reads an export.
 * @throws InvalidExportError; whatever the source throws.
 */
export async function readExport(
  source: AsyncIterable<Uint8Array>,
  visitor: ExportVisitor,
  onSlice?: () => Promise<void>,
): Promise<ExportFacts> {
  const handler = createHandler(visitor, () => read);
  const text = decodeXml(source);
  let read = 0;
  let sinceToken = 0;
  let inSlice = 0;
  const feed = (piece: string): void => {
    const before = handler.tokens();
    handler.write(piece);
    read += piece.length;
    // one text or tag that spans many slices: the parser would collect it all in memory
    sinceToken = handler.tokens() === before ? sinceToken + piece.length : 0;
    if (sinceToken > LIMITS.xmlTextChars)
      throw new InvalidExportError(
        'malformed',
        `a single text is longer than ${LIMITS.xmlTextChars} characters`,
      );
  };
  for await (const piece of text.pieces()) {
    if (piece === '') continue;
    feed(piece);
    inSlice += piece.length;
    if (inSlice < SLICE_CHARS) continue;
    inSlice = 0;
    if (onSlice) await onSlice();
    await breathe();
  }
  if (inSlice > 0 && onSlice) await onSlice();
  if (read === 0) throw new InvalidExportError('malformed', 'it is empty');
  handler.close();
  return { ...handler.finish(), removedCharacters: text.removedCharacters() };
}

interface Handler {
  write(piece: string): void;
  /** The end of the document. */
  close(): void;
  /** Counts what the parser has handed over. */
  tokens(): number;
  finish(): Omit<ExportFacts, 'removedCharacters'>;
}

/** Where in the document the parser is, as far as it matters. */
type Place = 'outside' | 'report' | 'host' | 'properties' | 'tag' | 'item' | 'field';

/** Throws where saxes would only report. */
class StrictParser extends SaxesParser {
  readonly #read: () => number;

  constructor(read: () => number) {
    // xmlns off: some files use the cm: prefix without declaring it (nessus-api.md section 9.5)
    super({ position: false, xmlns: false });
    this.#read = read;
  }

  override fail(message: string): this {
    throw new InvalidExportError(
      'malformed',
      `it is not well-formed XML near character ${this.#read()} (${message})`,
      new Error(message),
    );
  }
}

function createHandler(visitor: ExportVisitor, read: () => number): Handler {
  const parser = new StrictParser(read);
  const startPiece = takeShortcuts(parser);
  let place: Place = 'outside';
  let depth = 0;
  let tokens = 0;
  let hosts = 0;
  let items = 0;
  let reportName: string | undefined;
  let attributes: Record<string, string> = {};
  let elements: [string, string][] = [];
  let attachmentNames: string[] = [];
  let fieldName = '';
  let fieldDepth = 0;
  let text = '';
  let itemChars = 0;

  const count = (characters: number): void => {
    itemChars += characters;
    if (itemChars > LIMITS.xmlTextChars)
      throw new InvalidExportError(
        'malformed',
        `a single item is longer than ${LIMITS.xmlTextChars} characters`,
      );
  };

  const open = (tag: SaxesTagPlain): void => {
    tokens += 1;
    depth += 1;
    if (depth > LIMITS.xmlDepth)
      throw new InvalidExportError('malformed', `its elements are nested more than ${LIMITS.xmlDepth} deep`);
    if (depth === 1 && tag.name !== ROOT)
      throw new InvalidExportError('not_v2', `its root element is ${tag.name.slice(0, 60)}, not ${ROOT}`);
    if (place === 'outside' && depth === 2 && tag.name === 'Report') {
      place = 'report';
      reportName ??= tag.attributes.name ?? '';
      visitor.onReport?.(reportName);
    } else if (place === 'report' && tag.name === 'ReportHost') {
      place = 'host';
      hosts += 1;
      visitor.onHost?.(tag.attributes.name ?? '');
    } else if (place === 'host' && tag.name === 'HostProperties') {
      place = 'properties';
    } else if (place === 'properties' && tag.name === 'tag') {
      place = 'tag';
      fieldName = tag.attributes.name ?? '';
      fieldDepth = depth;
      text = '';
    } else if (place === 'host' && tag.name === 'ReportItem') {
      place = 'item';
      items += 1;
      attributes = tag.attributes;
      elements = [];
      attachmentNames = [];
      itemChars = 0;
    } else if (place === 'item') {
      place = 'field';
      count(tag.name.length + ELEMENT_COST);
      fieldName = tag.name;
      fieldDepth = depth;
      text = '';
      if (tag.name === 'attachment' && tag.attributes.name !== undefined)
        attachmentNames.push(tag.attributes.name);
    }
  };

  const close = (tag: SaxesTagPlain): void => {
    tokens += 1;
    if (place === 'tag' && depth === fieldDepth) {
      visitor.onHostTag?.(fieldName, text);
      place = 'properties';
    } else if (place === 'field' && depth === fieldDepth) {
      elements.push([fieldName, text]);
      place = 'item';
    } else if (place === 'item' && tag.name === 'ReportItem') {
      visitor.onItem?.({ attributes, elements, attachmentNames });
      place = 'host';
    } else if (place === 'properties' && tag.name === 'HostProperties') {
      place = 'host';
    } else if (place === 'host' && tag.name === 'ReportHost') {
      visitor.onHostEnd?.();
      place = 'report';
    } else if (place === 'report' && tag.name === 'Report' && depth === 2) {
      place = 'outside';
    }
    depth -= 1;
  };

  const addText = (more: string): void => {
    tokens += 1;
    if (place !== 'tag' && place !== 'field') return;
    text += more;
    if (place === 'field') count(more.length);
    if (text.length > LIMITS.xmlTextChars)
      throw new InvalidExportError(
        'malformed',
        `a single text is longer than ${LIMITS.xmlTextChars} characters`,
      );
  };

  // with more than seven handlers V8 keeps the parser as a dictionary, and everything takes three times as long
  parser.on('attribute', ({ value }) => {
    if (value.length > LIMITS.xmlAttributeChars)
      throw new InvalidExportError(
        'malformed',
        `an attribute is longer than ${LIMITS.xmlAttributeChars} characters`,
      );
  });
  parser.on('opentag', open);
  parser.on('closetag', close);
  parser.on('text', addText);
  parser.on('cdata', addText);
  parser.on('comment', () => {
    tokens += 1;
  });
  parser.on('doctype', () => {
    // no export has one; entities and external subsets come in this way
    throw new InvalidExportError('malformed', 'it has a DOCTYPE, which exports never have');
  });
  return {
    write(piece) {
      startPiece();
      parser.write(piece);
    },
    close() {
      parser.close();
    },
    tokens: () => tokens,
    finish() {
      if (reportName === undefined)
        throw new InvalidExportError(
          'no_report',
          'it has no Report element, so it holds no results (a policy export?)',
        );
      return { reportName, hosts, items };
    },
  };
}
