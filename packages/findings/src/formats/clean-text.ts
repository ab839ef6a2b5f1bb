/**
 * Texts of findings made safe for a format. They come from scanned hosts and from files that anybody may bring: they can
 * hold control characters, halves of characters and the syntax of the format they are put into.
 */

/** Everything that Unicode calls control, but tab and line feed; and two code points that XML forbids. */
const CONTROLS = /[^\P{Cc}\t\n]|[\ufffe\uffff]/gu;
/** With the `u` flag only halves that lack their other half. */
const LONE_SURROGATES = /\p{Cs}/gu;
/** Legal inside JSON, but taken for a line end (U+0085, U+2028, U+2029), a command or no character by some readers of it. */
const AWKWARD_IN_JSON = /[\u007f-\u009f\u2028\u2029\ufffe\uffff]/g;
/** What JSON.stringify makes of a lone surrogate; also found in texts that merely look so, at no harm. */
const ESCAPED_SURROGATE = /\\ud[89a-f]/;

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
  // a parser would turn them into blanks inside an attribute
  '\n': '&#10;',
  '\t': '&#9;',
};

/** The text with line feeds as only line ends, without other control characters, halves of characters as U+FFFD. */
export function cleanText(text: string): string {
  return text.replace(/\r\n?/g, '\n').replace(CONTROLS, '').replace(LONE_SURROGATES, '\ufffd');
}

/** At most `max` UTF-16 units of the text, an ellipsis as the last when something was cut; no character is halved. */
export function cutText(text: string, max: number): string {
  if (text.length <= max) return text;
  if (max <= 0) return '';
  return `${text.slice(0, max - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** Cleaned and escaped, for the content of an XML element; `]]>` is escaped as well. */
export function xmlText(text: string): string {
  return cleanText(text).replace(/[&<>]/g, (character) => ENTITIES[character] ?? '');
}

/** Cleaned and escaped, for an XML attribute in either kind of quotes; line ends and tabs survive. */
export function xmlAttribute(text: string): string {
  return cleanText(text).replace(/[&<>"'\n\t]/g, (character) => ENTITIES[character] ?? '');
}

/** Cleaned, with everything escaped that Markdown or HTML would take for syntax: the reader sees the text as it is. */
export function markdownText(text: string): string {
  return cleanText(text)
    .replace(/[\\`*_[\]#|~]/g, '\\$&')
    .replace(/[&<>]/g, (character) => ENTITIES[character] ?? '');
}

/**
 * One line of JSON, readable by strict parsers (lone surrogates become U+FFFD) and by those that look for line ends first.
 * Nothing else is changed: other control characters come escaped, as JSON wants them.
 */
export function toJson(value: unknown): string {
  const plain = JSON.stringify(value);
  const wellFormed = ESCAPED_SURROGATE.test(plain)
    ? JSON.stringify(value, (_, part: unknown) =>
        typeof part === 'string' ? part.replace(LONE_SURROGATES, '\ufffd') : part,
      )
    : plain;
  return wellFormed.replace(
    AWKWARD_IN_JSON,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Small letters, digits and single hyphens, for ids and tags; empty when nothing of the text remains. */
export function slug(text: string, max = 60): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, max)
    .replace(/^-+|-+$/g, '');
}
