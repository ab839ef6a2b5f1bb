/** The HTML report of what changed between two scans: one file, nothing loaded from elsewhere. */
import {
  type Comparison,
  type ComparisonItem,
  type ComparisonStatus,
  type Quality,
  SEVERITY_NAMES,
} from '@scanmq/contract';
import { inChunks } from '../formats/in-chunks.js';
import type { RenderedTask } from '../render-input.js';
import { barChart, heatMap } from './charts.js';
import {
  itemsLeftOut,
  itemTable,
  type KeptItems,
  keepItems,
  STATUS_ORDER,
  STATUSES,
} from './comparison-items.js';
import { filterForm } from './filter-form.js';
import { type Html, html, type Piece, render } from './html.js';
import { pageEnd, pageStart } from './page.js';
import { qualitySection } from './quality-section.js';
import { importedMark, leftOut, simulatorBanner, taskFacts } from './task-header.js';
import { capital, number } from './words.js';

export interface ComparisonReportInput {
  /** Counts and verdicts; its `items` are a page of them and are not read. */
  readonly comparison: Comparison;
  /** The older scan. */
  readonly base: RenderedTask;
  /** The newer scan. */
  readonly head: RenderedTask;
  /** All items, in any order; read once, to the end. */
  readonly items: AsyncIterable<ComparisonItem>;
  /** Items written at most: by status, then by severity. */
  readonly maxItems: number;
  readonly generatedAt: Date;
  /** As in the report of one scan. */
  readonly nonce?: string;
}

/** The report in chunks. What stands above the items is sent before they are read. */
export function renderComparison(input: ComparisonReportInput): AsyncIterable<string> {
  return inChunks(pieces(input));
}

async function* pieces(input: ComparisonReportInput): AsyncGenerator<string, void> {
  const { comparison, base, head, nonce } = input;
  const title = `${base.simulator || head.simulator ? 'SIMULATOR – ' : ''}${head.name} – compared with ${base.name}`;
  yield render(html`${pageStart({ title, nonce })}${simulatorBanner([base, head])}<header>
<p class="kind">Comparison of two vulnerability scans</p>
<h1>${head.name}</h1>
</header>
<div class="pair">
${qualitySection(comparison.base_quality, { heading: 'The older scan: how far it can be trusted', id: 'quality-base' })}
${qualitySection(comparison.head_quality, { heading: 'The newer scan: how far it can be trusted', id: 'quality-head' })}
</div>
<div class="pair">
${taskSection('The older scan', base)}${taskSection('The newer scan', head)}
</div>
${countSection(input)}<section aria-labelledby="items">
<h2 id="items">What changed</h2>
${doubts(input)}`);

  const kept = await keepItems(input.items, input.maxItems);
  const shown = STATUS_ORDER.reduce((sum, status) => sum + kept.of(status).length, 0);
  const total = STATUS_ORDER.reduce((sum, status) => sum + totalOf(status, input, kept), 0);
  if (shown > 0) yield render(filterForm());
  for (const status of STATUS_ORDER) yield render(statusPart(status, input, kept));
  if (total > shown) yield render(leftOut(shown, total, 'entries', wholeComparison(input)));
  yield render(html`</section>${pageEnd(input.generatedAt, nonce)}`);
}

function taskSection(heading: string, task: RenderedTask): Html {
  return html`<section><h2>${heading}: ${task.name}${importedMark(task)}</h2><p class="kind"><code>${task.task_id}</code></p>${taskFacts(task)}</section>
`;
}

function countSection({
  comparison: { counts, by_severity: bySeverity },
  base,
  head,
  comparison,
}: ComparisonReportInput): Html {
  const columns = STATUS_ORDER.map((status) => ({
    label: STATUSES[status].title,
    colour: STATUSES[status].colour,
  }));
  return html`<section aria-labelledby="counts">
<h2 id="counts">Changes in numbers</h2>
${doubts({ comparison, base, head })}
${barChart(
  'Changes by kind',
  STATUS_ORDER.map((status) => ({
    label: STATUSES[status].title,
    count: counts[status],
    colour: STATUSES[status].colour,
  })),
)}
<h3>By severity</h3>
${heatMap(
  'Changes by severity and kind',
  'Severity',
  columns,
  [...SEVERITY_NAMES].reverse().map((name) => ({
    label: capital(name),
    counts: STATUS_ORDER.map((status) => bySeverity[name][status]),
  })),
)}
</section>
`;
}

/** What makes the difference of two scans say less than it seems to. */
function doubts({
  comparison,
  base,
  head,
}: Pick<ComparisonReportInput, 'comparison' | 'base' | 'head'>): Piece {
  const { base_quality: older, head_quality: newer } = comparison;
  const texts: { readonly text: string; readonly verdict: Quality['verdict'] }[] = [];
  const doubt = (text: string, verdict: Quality['verdict'] = 'limited'): void => {
    texts.push({ text, verdict });
  };
  if (older.verdict !== 'complete')
    doubt(
      older.verdict === 'unusable'
        ? 'In the older scan nothing was scanned: everything is new, and nothing can be said about changes.'
        : 'The older scan was limited: what is new here may have been there before.',
      older.verdict,
    );
  if (newer.verdict !== 'complete')
    doubt(
      newer.verdict === 'unusable'
        ? 'In the newer scan nothing was scanned: what is gone from it is not fixed.'
        : 'The newer scan was limited: there may be more that is new, and what is gone is not all fixed.',
      newer.verdict,
    );
  if (base.targets !== head.targets) doubt('The two scans did not have the same targets.');
  if (base.scan_type !== head.scan_type) doubt('The two scans were not of the same kind.');
  return texts.map(({ text, verdict }) => html`<p class="caution ${verdict}">${text}</p>`);
}

function statusPart(status: ComparisonStatus, input: ComparisonReportInput, kept: KeptItems): Html {
  const { title, meaning } = STATUSES[status];
  const items = kept.of(status);
  const total = totalOf(status, input, kept);
  const heading = html`${title} <span class="quiet">${number(total)}</span>`;
  const content = html`<p class="note">${meaning}</p>${total === 0 ? html`<p class="quiet">None.</p>` : ''}${itemTable(status, items)}${itemsLeftOut(status, items.length, total)}`;
  // what was known before is there for completeness only
  return status === 'persisting' && items.length > 0
    ? html`<details data-list><summary><h3 class="inline">${heading}</h3></summary>${content}</details>
`
    : html`<h3>${heading}</h3>${content}
`;
}

/** Items can be fewer than counted, when somebody else cut them, but are never to be taken for all. */
function totalOf(status: ComparisonStatus, { comparison }: ComparisonReportInput, kept: KeptItems): number {
  return Math.max(comparison.counts[status], kept.seen(status));
}

function wholeComparison({ base, head }: ComparisonReportInput): Html {
  return html`<p>All of them: <code>GET /api/v1/scans/${head.task_id}/compare/${base.task_id}</code>, or the tool <code>compare_scans</code>, page by page.</p>`;
}
