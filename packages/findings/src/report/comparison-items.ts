/** What changed between two scans, by status: the most urgent first, as many as fit. */
import type { ComparisonItem, ComparisonStatus, NotRetestedReason } from '@scanmq/contract';
import { severityOf } from '../finding.js';
import { scrolling } from './charts.js';
import { type Html, html, type Piece } from './html.js';
import { number, severityBadge } from './words.js';

interface StatusWords {
  readonly title: string;
  readonly meaning: string;
  /** Class of its bar. */
  readonly colour: string;
}

/** In the order in which a reader wants to know of them. */
export const STATUS_ORDER: readonly ComparisonStatus[] = [
  'new',
  'changed_severity',
  'fixed',
  'not_retested',
  'persisting',
];

export const STATUSES: Readonly<Record<ComparisonStatus, StatusWords>> = {
  new: { title: 'New', meaning: 'In the newer scan only.', colour: 'c-new' },
  changed_severity: {
    title: 'Changed severity',
    meaning: 'In both scans, with another severity.',
    colour: 'c-changed',
  },
  fixed: {
    title: 'Fixed',
    meaning: 'Gone, and the newer scan looked for it: its host answered, and the same kind of check ran.',
    colour: 'c-fixed',
  },
  not_retested: {
    title: 'Not re-tested',
    meaning: 'Gone, but not known to be fixed: the newer scan did not look, or could not.',
    colour: 'c-unsure',
  },
  persisting: { title: 'Persisting', meaning: 'In both scans.', colour: 'c-persisting' },
};

const REASONS: Readonly<Record<NotRetestedReason, string>> = {
  host_absent: 'The host is not in the newer scan.',
  host_silent: 'The host did not answer the newer scan.',
  host_incomplete: 'The newer scan did not come to the end of this host.',
  scan_stopped_early: 'The newer scan stopped early.',
  credentials_lower: 'The newer scan could not log in as well as the older one.',
  family_not_enabled: 'The newer scan did not run plugins of this family.',
  port_not_covered: 'The newer scan did not cover this port.',
};

const LEVELS = 5;

export interface KeptItems {
  /** The worst first. */
  of(status: ComparisonStatus): readonly ComparisonItem[];
  /** Items seen, kept or not. */
  seen(status: ComparisonStatus): number;
}

/**
 * Reads all items, in whatever order they come, and keeps the `max` that matter most: by status, then by severity.
 * Never holds more than `max` and one.
 */
export async function keepItems(items: AsyncIterable<ComparisonItem>, max: number): Promise<KeptItems> {
  const buckets = new Map(
    STATUS_ORDER.map((status) => [status, Array.from({ length: LEVELS }, (): ComparisonItem[] => [])]),
  );
  const seen = new Map<ComparisonStatus, number>();
  // the least important first
  const droppable = [...buckets.values()].flat().reverse();
  const bySeverity = (status: ComparisonStatus): ComparisonItem[][] => buckets.get(status) ?? [];
  let kept = 0;
  for await (const item of items) {
    seen.set(item.status, (seen.get(item.status) ?? 0) + 1);
    bySeverity(item.status)[LEVELS - 1 - severityOf(item)]?.push(item);
    kept += 1;
    if (kept > max) {
      droppable.find((bucket) => bucket.length > 0)?.pop();
      kept -= 1;
    }
  }
  return {
    of: (status) => bySeverity(status).flat(),
    seen: (status) => seen.get(status) ?? 0,
  };
}

/** A table of the items of one status. */
export function itemTable(status: ComparisonStatus, items: readonly ComparisonItem[]): Piece {
  if (items.length === 0) return '';
  const extra = { changed_severity: 'Before', not_retested: 'Why' }[status as string];
  return scrolling(
    STATUSES[status].title,
    html`<table><thead><tr><th scope="col">Severity</th>${extra ? html`<th scope="col">${extra}</th>` : ''}<th scope="col">Plugin</th><th scope="col">Host</th><th scope="col">Port</th><th scope="col" class="number">CVSS</th></tr></thead><tbody>${items.map(
      (item) => html`
<tr data-severity="${severityOf(item)}"><td>${severityBadge(item.severity)}</td>${extra ? html`<td>${extraOf(item)}</td>` : ''}<th scope="row" class="name">${item.plugin_name || 'Plugin'} <span class="quiet">${item.plugin_id}${item.plugin_family === '' ? '' : ` · ${item.plugin_family}`}</span></th><td>${item.host}</td><td class="short">${item.port === 0 ? '–' : `${item.protocol}/${item.port}`}</td><td class="number">${item.cvss_score?.toFixed(1) ?? '–'}</td></tr>`,
    )}
</tbody></table>`,
  );
}

function extraOf({ status, reason, base_severity: before }: ComparisonItem): Html {
  if (status === 'not_retested') return html`${reason === null ? 'Not known.' : REASONS[reason]}`;
  return before === null ? html`–` : severityBadge(before);
}

/** What of a status is not listed; nothing where all is. */
export function itemsLeftOut(status: ComparisonStatus, shown: number, total: number): Piece {
  if (total <= shown) return '';
  return html`<p class="note"><strong>${number(total - shown)} of ${number(total)}</strong> are left out here${shown === 0 ? '' : ', the less severe ones'} (${STATUSES[status].title.toLowerCase()}).</p>`;
}
