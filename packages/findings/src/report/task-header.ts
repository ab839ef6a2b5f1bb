/** Which scan a report is about, and whether it was a real one. */
import type { RenderedTask } from '../render-input.js';
import { type Html, html, type Piece } from './html.js';
import { duration, folded, moment, number } from './words.js';

/** Target lists reach 256 KB. */
const TARGET_CHARS = { shown: 240, atMost: 20_000 } as const;

/** To stand before everything else where a simulator had a part in it. */
export function simulatorBanner(tasks: readonly RenderedTask[]): Piece {
  if (!tasks.some((task) => task.simulator)) return '';
  return html`<p class="banner"><strong>SIMULATOR</strong> – a simulator served ${
    tasks.length === 1
      ? 'this task'
      : tasks.every((task) => task.simulator)
        ? 'these tasks'
        : 'one of these tasks'
  }, no real scanner. The findings are samples and say nothing about the targets.</p>`;
}

/** A word beside the name of a task that was not scanned here. */
export function importedMark(task: RenderedTask): Piece {
  return task.imported ? html`<span class="mark">imported</span>` : '';
}

/** What a reader wants to know of a task, as a list of terms. */
export function taskFacts(task: RenderedTask): Html {
  const took = duration(task.started_at, task.completed_at);
  const facts: readonly (readonly [name: string, value: Piece, wide?: boolean])[] = [
    ['Targets', folded(task.targets, TARGET_CHARS.shown, TARGET_CHARS.atMost), true],
    ['Scanner', scannerOf(task)],
    ['Kind of scan', task.scan_type],
    ['Started', moment(task.started_at)],
    [
      'Completed',
      html`${moment(task.completed_at)}${took === undefined ? '' : html` <span class="quiet short">(${took})</span>`}`,
    ],
  ];
  return html`<dl class="facts">${facts.map(
    ([name, value, wide]) => html`
<div${wide ? html` class="wide"` : ''}><dt>${name}</dt><dd>${value}</dd></div>`,
  )}
</dl>`;
}

/** How to get findings that a report leaves out. */
export function wholeResults(task: RenderedTask): Html {
  return html`<p>All findings of this task: <code>GET /api/v1/scans/${task.task_id}/findings?format=csv</code> (or json, ndjson), or page by page with the tool <code>get_scan_results</code>.</p>`;
}

/** What a list leaves out, plainly. */
export function leftOut(written: number, total: number, what: string, how: Html): Html {
  return html`<div class="left-out"><p><strong>${number(total - written)} of ${number(total)} ${what} are left out of this report.</strong> It lists the first ${number(written)}.</p>${how}</div>`;
}

function scannerOf({ scanner_pool: pool, scanner_instance: instance, imported }: RenderedTask): string {
  const scanner = instance === null ? pool : `${pool} / ${instance}`;
  return imported ? `none of ours: imported${scanner === '' ? '' : ` (${scanner})`}` : scanner;
}
