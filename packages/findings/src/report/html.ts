/** The one place where text becomes HTML. */
import { cleanText } from '../formats/clean-text.js';

const SAFE: unique symbol = Symbol('safe');

/** HTML that may be written as it is. Made here only: no JSON, whatever its fields, can be taken for it. */
export interface Html {
  readonly [SAFE]: string;
}

/** What can stand in a template: anything but `Html` and lists of it is escaped; undefined and null are nothing. */
export type Piece = Html | string | number | null | undefined | readonly Piece[];

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
/** They change the order in which the rest of a line is shown, so that it reads as something else. */
const REORDERING = /[\u202a-\u202e\u2066-\u2069]/g;

/**
 * Escapes all that is put into it, for text and for attributes in double quotes alike. Not for the inside of script or
 * style elements.
 */
export function html(strings: TemplateStringsArray, ...pieces: readonly Piece[]): Html {
  let text = strings[0] ?? '';
  for (const [index, piece] of pieces.entries()) text += render(piece) + (strings[index + 1] ?? '');
  return trusted(text);
}

/** Says that a text is HTML of our own making. Never for anything that came from a scan, a user or a file. */
export function trusted(text: string): Html {
  return { [SAFE]: text };
}

/** The HTML itself, to be sent. */
export function render(piece: Piece): string {
  if (piece === null || piece === undefined) return '';
  if (typeof piece === 'object') return SAFE in piece ? piece[SAFE] : piece.map(render).join('');
  return escapeText(String(piece));
}

/** Also takes control characters out, and makes those visible that would reorder a line. */
function escapeText(text: string): string {
  return cleanText(text)
    .replace(REORDERING, (character) => `[U+${character.charCodeAt(0).toString(16).toUpperCase()}]`)
    .replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}
