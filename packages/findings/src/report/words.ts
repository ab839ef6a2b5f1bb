/** Numbers, times and longer texts as a reader wants to see them. */
import { SEVERITY_NAMES } from '@scanmq/contract';
import { severityOf } from '../finding.js';
import { cutText } from '../formats/clean-text.js';
import { type Html, html } from './html.js';

const NUMBERS = new Intl.NumberFormat('en');

/** A count with separators: 12,345. */
export function number(count: number): string {
  return NUMBERS.format(count);
}

/** `1 host`, `2 hosts`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/** The first letter as a capital; for our own words. */
export function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** The severity as a word in its colour. */
export function severityBadge(severity: string): Html {
  const level = severityOf({ severity });
  return html`<span class="badge s${level}">${capital(SEVERITY_NAMES[level])}</span>`;
}

/** A moment in UTC; what is no moment is shown as it is. */
export function moment(time: string | Date | null): Html {
  if (time === null) return html`<span class="quiet">not known</span>`;
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return html`${String(time)}`;
  const iso = date.toISOString();
  return html`<time datetime="${iso}">${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC</time>`;
}

/** `1 h 5 min`; undefined where a moment is missing or they stand in the wrong order. */
export function duration(from: string | null, to: string | null): string | undefined {
  const seconds = Math.round((Date.parse(to ?? '') - Date.parse(from ?? '')) / 1_000);
  if (!(seconds >= 0)) return undefined;
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${number(Math.floor(minutes / 60))} h ${minutes % 60} min`;
}

const ENTRY = /^[ \t]*(?:[-*•]|\d{1,3}[.)])[ \t]/m;
const NO_ENTRY_NEXT = /\n[ \t]*(?!(?:[-*•]|\d{1,3}[.)])[ \t]|[ \t])/g;

/** Prose of a plugin: exports wrap its lines at 70 columns, which only lists and indented lines still need. */
export function prose(text: string, maxChars: number): Html[] {
  const paragraphs = cutText(text, maxChars).split(/\n[ \t]*\n/);
  return paragraphs
    .filter((paragraph) => paragraph.trim() !== '')
    .map((paragraph) => {
      // a list: what follows an entry on the next line belongs to it
      if (ENTRY.test(paragraph)) return html`<p class="lines">${paragraph.replace(NO_ENTRY_NEXT, ' ')}</p>`;
      return /^[ \t]/m.test(paragraph)
        ? html`<p class="lines">${paragraph}</p>`
        : html`<p>${paragraph.replace(/\n/g, ' ')}</p>`;
    });
}

/** A long line in one place, all of it behind a click. */
export function folded(text: string, shownChars: number, maxChars: number): Html {
  if (text.length <= shownChars) return html`${text}`;
  return html`<details class="folded"><summary>${cutText(text, shownChars)}</summary><p>${cutText(text, maxChars)}</p>${
    text.length > maxChars ? html`<p class="note">The first of ${number(text.length)} characters.</p>` : ''
  }</details>`;
}

/** A link to another site; a text where the address is not one that a browser should follow. */
export function link(address: string): Html {
  const protocol = URL.canParse(address) ? new URL(address).protocol : '';
  return protocol === 'http:' || protocol === 'https:'
    ? html`<a href="${address}" rel="noreferrer noopener">${address}</a>`
    : html`${address}`;
}
