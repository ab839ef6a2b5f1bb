/** The HTML report of one scan: one file, nothing loaded from elsewhere. */
import { SEVERITY_NAMES } from '@scanmq/contract';
import { inChunks } from '../formats/in-chunks.js';
import type { PluginCount, ReportInput } from '../render-input.js';
import { barChart, heatMap, scrolling } from './charts.js';
import { filterForm } from './filter-form.js';
import { findingGroups } from './finding-groups.js';
import { type Html, html, type Piece, render } from './html.js';
import { pageEnd, pageStart } from './page.js';
import { caution, qualitySection, verdictWord } from './quality-section.js';
import { importedMark, leftOut, simulatorBanner, taskFacts, wholeResults } from './task-header.js';
import { capital, number, severityBadge } from './words.js';

export interface ReportOptions {
  /** Findings written at most; the report says how many it leaves out. */
  readonly maxFindings: number;
  /** For style and script, where the answer comes with a policy that asks for one. */
  readonly nonce?: string;
}

const WORST_FIRST = [...SEVERITY_NAMES.entries()].reverse();

/**
 * The report in chunks. `input.findings()` is read once, and no further than needed; it should be ordered by severity (the
 * worst first), plugin and host: findings are written in the order they come, and neighbours of one plugin as a group.
 */
export function renderReport(input: ReportInput, options: ReportOptions): AsyncIterable<string> {
  return inChunks(pieces(input, options));
}

async function* pieces(
  input: ReportInput,
  { maxFindings, nonce }: ReportOptions,
): AsyncGenerator<string, void> {
  const { task, quality } = input;
  const title = `${task.simulator ? 'SIMULATOR – ' : ''}${task.name} – ${verdictWord(quality)} scan`;
  yield render(html`${pageStart({ title, nonce })}${simulatorBanner([task])}<header>
<p class="kind">Vulnerability scan <code>${task.task_id}</code></p>
<h1>${task.name}${importedMark(task)}</h1>
${taskFacts(task)}
</header>
${qualitySection(quality, { heading: 'How far these results can be trusted', id: 'quality', doubtfulHosts: input.doubtfulHosts })}
${severitySection(input)}${hostSection(input)}${pluginSection(input)}<section aria-labelledby="findings">
<h2 id="findings">Findings</h2>
${caution(quality)}${filterNote(input)}`);

  if (input.total === 0) yield render(html`<div class="empty">${nothingFound(input)}</div>`);
  else {
    yield render(filterForm());
    const { findings } = yield* findingGroups(input.findings(), maxFindings);
    if (findings < input.total) yield render(leftOut(findings, input.total, 'findings', wholeResults(task)));
  }
  yield render(html`</section>${pageEnd(input.generatedAt, nonce)}`);
}

function severitySection({ summary, quality }: ReportInput): Html {
  const counts = summary.severity_breakdown;
  // a chart of zeros would look like an all-clear
  const nothing = summary.total_findings === 0 && quality.verdict === 'unusable';
  return html`<section aria-labelledby="severities">
<h2 id="severities">Findings by severity</h2>
${caution(quality)}
${
  nothing
    ? html`<p class="empty">There is nothing to count.</p>`
    : html`${barChart(
        'Findings by severity',
        WORST_FIRST.map(([level, name]) => ({
          label: capital(name),
          count: counts[name],
          colour: `s${level}`,
        })),
      )}<p class="note">${number(summary.total_findings)} findings, ${number(summary.total_vulnerabilities)} of them of severity low and above, on ${number(summary.hosts_scanned)} hosts in the results.</p>`
}
</section>
`;
}

function hostSection({ hosts, hostsTotal, quality }: ReportInput): Html {
  const hidden = hostsTotal - hosts.length;
  return html`<section aria-labelledby="hosts">
<h2 id="hosts">Hosts</h2>
${caution(quality)}
${
  hosts.length === 0
    ? html`<p class="empty">${hostsTotal === 0 ? 'No host is in these results.' : 'No host is listed here.'}</p>`
    : heatMap(
        'Findings by host and severity',
        'Host, the worst first',
        WORST_FIRST.map(([level, name]) => ({ label: capital(name), colour: `s${level}` })),
        hosts.map((host) => ({
          label: host.host,
          counts: WORST_FIRST.map(([, name]) => host[name]),
        })),
      )
}${hidden > 0 ? html`<p class="note">${number(hidden)} of ${number(hostsTotal)} hosts are not shown.</p>` : ''}
</section>
`;
}

function pluginSection({ topPlugins }: ReportInput): Piece {
  if (topPlugins.length === 0) return '';
  const row = (plugin: PluginCount): Html => html`
<tr><td>${severityBadge(plugin.severity)}</td><th scope="row" class="name">${plugin.plugin_name || `Plugin ${plugin.plugin_id}`} <span class="quiet">${plugin.plugin_id}</span></th><td>${plugin.plugin_family}</td><td class="number">${plugin.cvss_score?.toFixed(1) ?? '–'}</td><td class="number">${number(plugin.hosts)}</td><td class="number">${number(plugin.findings)}</td></tr>`;
  return html`<section aria-labelledby="plugins">
<h2 id="plugins">Top plugins</h2>
${scrolling(
  'Top plugins',
  html`<table><thead><tr><th scope="col">Severity</th><th scope="col">Plugin</th><th scope="col">Family</th><th scope="col" class="number">CVSS</th><th scope="col" class="number">Hosts</th><th scope="col" class="number">Findings</th></tr></thead><tbody>${topPlugins.map(row)}
</tbody></table>`,
)}
</section>
`;
}

/** Findings can be fewer than the scan has, when a filter was asked for. */
function filterNote({ total, summary }: ReportInput): Piece {
  if (total >= summary.total_findings) return '';
  return html`<p class="caution">Of ${number(summary.total_findings)} findings of the scan, ${number(total)} match the filter of this report; the others are not listed.</p>`;
}

function nothingFound({ quality, summary }: ReportInput): Html {
  if (summary.total_findings > 0) return html`<p>No finding matches the filter of this report.</p>`;
  switch (quality.verdict) {
    case 'complete':
      return html`<p>The scan found nothing.</p>`;
    case 'limited':
      return html`<p>There are no findings in what was looked at. <strong>This is not a clean result: the scan was limited.</strong></p>`;
    case 'unusable':
      return html`<p>There are no findings, because nothing was scanned. <strong>This is not a clean result.</strong></p>`;
  }
}
