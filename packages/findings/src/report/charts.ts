/** Charts that are tables: every bar and every coloured cell has its number, for those who read, hear or copy them. */
import { type Html, html, type Piece } from './html.js';
import { number } from './words.js';

export interface Bar {
  readonly label: string;
  readonly count: number;
  /** Class that gives the colour. */
  readonly colour: string;
}

/** Horizontal bars. Drawn as SVG: the policy of the page forbids style attributes, and printers leave out backgrounds. */
export function barChart(caption: string, bars: readonly Bar[]): Html {
  const most = Math.max(1, ...bars.map(({ count }) => count));
  return html`<table class="bars">
<caption class="hidden">${caption}</caption>
<thead class="hidden"><tr><th scope="col">Kind</th><th scope="col">Bar</th><th scope="col">Count</th></tr></thead>
<tbody>${bars.map(
    ({ label, count, colour }) => html`
<tr><th scope="row">${label}</th><td class="track"><svg class="${colour}" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect width="${width(count, most)}" height="10"/></svg></td><td class="count">${number(count)}</td></tr>`,
  )}
</tbody></table>`;
}

/** A bar of a few among thousands is still to be seen. */
function width(count: number, most: number): string {
  return count === 0 ? '0' : Math.max(0.6, (count / most) * 100).toFixed(1);
}

export interface HeatColumn {
  readonly label: string;
  /** Class that gives the hue; how strong it is follows from the count. */
  readonly colour: string;
}

export interface HeatRow {
  readonly label: Piece;
  /** One for each column. */
  readonly counts: readonly number[];
}

/** Rows × columns of counts, the more the stronger the colour; shades are of equal steps on a logarithmic scale. */
export function heatMap(
  caption: string,
  corner: string,
  columns: readonly HeatColumn[],
  rows: readonly HeatRow[],
): Html {
  const most = Math.max(1, ...rows.flatMap(({ counts }) => counts));
  const cell = (count: number, column: number): Html =>
    count === 0
      ? html`<td class="heat zero">0</td>`
      : html`<td class="heat ${columns[column]?.colour} h${shade(count, most)}">${number(count)}</td>`;
  return scrolling(
    caption,
    html`<table class="heatmap">
<caption class="hidden">${caption}</caption>
<thead><tr><th scope="col">${corner}</th>${columns.map(({ label }) => html`<th scope="col" class="number">${label}</th>`)}</tr></thead>
<tbody>${rows.map(
      ({ label, counts }) => html`
<tr><th scope="row">${label}</th>${counts.map(cell)}</tr>`,
    )}
</tbody></table>`,
  );
}

/** 1 to 5. */
function shade(count: number, most: number): number {
  return Math.max(1, Math.ceil((Math.log1p(count) / Math.log1p(most)) * 5));
}

/** A box of its own for what may be wider than the page; can be reached and scrolled with the keyboard. */
export function scrolling(label: string, content: Html): Html {
  return html`<div class="scroll" role="region" tabindex="0" aria-label="${label}, table">${content}</div>`;
}
