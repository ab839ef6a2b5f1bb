/** The findings of a report: those of one plugin that say the same stand together, with the places where it was found. */
import type { Finding } from '../finding.js';
import { severityOf } from '../finding.js';
import { cutText } from '../formats/clean-text.js';
import { complianceOf, linksOf, listOf, placeOf, scoreOf, textOf, titleOf } from '../formats/finding-text.js';
import { type Html, html, type Piece, render } from './html.js';
import { capital, counted, link, number, prose, severityBadge } from './words.js';

/** Characters of one plugin output; some dump whole inventories. */
export const OUTPUT_CHARS = 6_000;
/** Characters of a description or solution. */
const TEXT_CHARS = 20_000;
/** Places held at a time: the memory of a report does not grow with the scan. */
const GROUP_PLACES = 500;
const LIST_ITEMS = 60;

interface Group {
  readonly key: string;
  readonly finding: Finding;
  readonly continued: boolean;
  readonly hosts: Set<string>;
  /** Places by what the plugin printed there: it is often the same everywhere. */
  readonly outputs: Map<string, string[]>;
  places: number;
}

export interface Written {
  readonly findings: number;
  readonly groups: number;
}

/**
 * Neighbours that say the same are put together, so the findings should come ordered by severity, plugin and host.
 * @param max findings written; reading stops there.
 * @returns how much was written.
 */
export async function* findingGroups(
  findings: AsyncIterable<Finding>,
  max: number,
): AsyncGenerator<string, Written> {
  let group: Group | undefined;
  let written = 0;
  let groups = 0;
  const write = (finished: Group): string => {
    groups += 1;
    return render(groupOf(finished));
  };
  if (max > 0)
    for await (const finding of findings) {
      const key = keyOf(finding);
      if (group !== undefined && (group.key !== key || group.places >= GROUP_PLACES)) {
        yield write(group);
        group = begin(key, finding, group.key === key);
      }
      group ??= begin(key, finding, false);
      add(group, finding);
      written += 1;
      if (written >= max) break;
    }
  if (group !== undefined) yield write(group);
  return { findings: written, groups };
}

/** All that a group shows once. */
function keyOf(finding: Finding): string {
  return JSON.stringify([
    severityOf(finding),
    finding.plugin_id,
    titleOf(finding),
    complianceOf(finding)?.result,
    finding.synopsis,
    finding.description,
    finding.solution,
    finding.cve,
  ]);
}

function begin(key: string, finding: Finding, continued: boolean): Group {
  return { key, finding, continued, hosts: new Set(), outputs: new Map(), places: 0 };
}

function add(group: Group, finding: Finding): void {
  const { host, protocol, port } = placeOf(finding);
  const address = textOf(finding.host_ip);
  const service = textOf(finding.svc_name);
  const where = port === 0 ? '' : ` · ${protocol}/${port}${service === '' ? '' : ` (${service})`}`;
  const place = `${host}${address !== '' && address !== host ? ` (${address})` : ''}${where}`;
  const whole = textOf(finding.plugin_output);
  const output =
    whole.length > OUTPUT_CHARS
      ? `${cutText(whole, OUTPUT_CHARS)}\n\n[The first ${number(OUTPUT_CHARS)} of ${number(whole.length)} characters.]`
      : whole;
  const same = group.outputs.get(output);
  if (same) same.push(place);
  else group.outputs.set(output, [place]);
  group.hosts.add(host);
  group.places += 1;
}

function groupOf({ finding, continued, hosts, outputs, places }: Group): Html {
  const check = complianceOf(finding);
  const description = textOf(finding.description);
  const where = hosts.size === 1 ? [...hosts][0] : counted(hosts.size, 'host');
  return html`<details class="finding" data-severity="${severityOf(finding)}">
<summary>${severityBadge(textOf(finding.severity))}<h3>${titleOf(finding)}${check?.result ? html` <span class="mark">${check.result}</span>` : ''}${continued ? html` <span class="mark">continued</span>` : ''}</h3><span class="where">${where}</span></summary>
<div class="body">
${text('Synopsis', finding.synopsis)}${text('Description', description)}${text('About the check', unlessIn(description, check?.info))}${text('Solution', textOf(finding.solution) || unlessIn(description, check?.solution))}
${figures(finding)}${chips('CVE', listOf(finding.cve))}${references(finding)}
<h4>Found at ${counted(places, 'place')}</h4>
${[...outputs].map(([output, found]) => placesOf(output, found, outputs.size > 1))}
</div>
</details>
`;
}

/** Descriptions of compliance checks often hold the other texts of the check. */
function unlessIn(description: string, other = ''): string {
  return description.includes(other) ? '' : other;
}

function text(heading: string, value: unknown): Piece {
  const whole = textOf(value);
  if (whole === '') return '';
  return html`<h4>${heading}</h4>${prose(whole, TEXT_CHARS)}${
    whole.length > TEXT_CHARS
      ? html`<p class="note">The first of ${number(whole.length)} characters.</p>`
      : ''
  }`;
}

/** Scores, dates and what is known of exploits. */
function figures(finding: Finding): Html {
  const score = scoreOf(finding);
  const vectors = [finding.cvss4_vector, finding.cvss3_vector, finding.cvss_vector].map(textOf);
  const rows: readonly (readonly [name: string, value: Piece, width?: 'double'])[] = [
    ['Plugin', [textOf(finding.plugin_id), textOf(finding.plugin_family)].filter(Boolean).join(' · ')],
    [
      'CVSS',
      score === undefined ? '' : html`<strong>${score.toFixed(1)}</strong> ${vectors.find(Boolean)}`,
      'double',
    ],
    ['VPR', textOf(finding.vpr_score)],
    ['EPSS', textOf(finding.epss_score)],
    ['Exploit', exploitOf(finding)],
    ['Known to be exploited (CISA)', textOf(finding['cisa-known-exploited'])],
    ['Vulnerability published', textOf(finding.vuln_publication_date)],
    ['Patch published', textOf(finding.patch_publication_date)],
  ];
  return html`<dl class="facts">${rows.map(([name, value, width]) => (value === '' ? '' : html`<div class="${width}"><dt>${name}</dt><dd>${value}</dd></div>`))}</dl>`;
}

function exploitOf(finding: Finding): string {
  const ease = textOf(finding.exploitability_ease);
  if (finding.exploit_available === true) return capital(ease || 'available');
  return finding.exploit_available === false ? ease || 'None known' : ease;
}

function chips(heading: string, items: readonly string[]): Piece {
  if (items.length === 0) return '';
  return html`<h4>${heading}</h4><ul class="chips">${items.slice(0, LIST_ITEMS).map((item) => html`<li>${item}</li>`)}${moreThan(items.length)}</ul>`;
}

function references(finding: Finding): Piece {
  const links = linksOf(finding);
  const others = [...listOf(finding.xref), ...listOf(finding.bid).map((id) => `BID ${id}`)];
  return html`${chips('Other references', others)}${
    links.length === 0
      ? ''
      : html`<h4>See also</h4><ul>${links.slice(0, LIST_ITEMS).map((address) => html`<li>${link(address)}</li>`)}${moreThan(links.length)}</ul>`
  }`;
}

function moreThan(length: number): Piece {
  return length > LIST_ITEMS ? html`<li>and ${number(length - LIST_ITEMS)} more</li>` : '';
}

/**
 * Output of a plugin is what a scanned host sent: text, whatever it looks like. HTML drops the line feed in front of it.
 * @param several whether other places have another output: then each stays behind a click.
 */
function placesOf(output: string, places: readonly string[], several: boolean): Html {
  const names = places.join(', ');
  if (output === '') return html`<p class="place">${names}</p>`;
  const block = html`<pre>
${output}</pre>`;
  return several
    ? html`<details><summary class="place">${names}</summary>${block}</details>`
    : html`<p class="place">${names}</p>${block}`;
}
