/** How far a scan can be trusted, at the top of every report: what was not looked at must not read as clean. */
import type { CredentialOutcome, HostQuality, Quality } from '@scanmq/contract';
import { textOf } from '../formats/finding-text.js';
import { qualityTexts } from '../formats/quality-text.js';
import { scrolling } from './charts.js';
import { type Html, html, type Piece } from './html.js';
import { capital, counted, folded, number } from './words.js';

interface Verdict {
  readonly word: string;
  readonly meaning: string;
  /** Said again wherever findings are counted or listed; undefined where there is nothing to warn of. */
  readonly caution: string | undefined;
}

const VERDICTS: Readonly<Record<Quality['verdict'], Verdict>> = {
  complete: {
    word: 'Complete',
    meaning: 'Nothing speaks against these results: what was asked for was scanned to its end.',
    caution: undefined,
  },
  limited: {
    word: 'Limited',
    meaning:
      'Not everything was looked at. What is not in this report may still be there: it is not a clean bill of health.',
    caution: 'The scan was limited (see the top): what is not counted here may still be there.',
  },
  unusable: {
    word: 'Unusable',
    meaning:
      'Nothing was scanned. No finding means nothing here: it does not mean that the targets are safe.',
    caution: 'Nothing was scanned (see the top): the absence of findings means nothing.',
  },
};

const CREDENTIAL_WORDS: Readonly<Record<CredentialOutcome, string>> = {
  success: 'logged in',
  partial: 'logged in in part',
  failed: 'login failed',
  none_provided: 'no credentials',
  unknown: 'not known',
};

/** Protocols listed; names of services come from the export, so there may be any number. */
const PROTOCOLS = 12;

/** The verdict as one word, for titles. */
export function verdictWord(quality: Quality): string {
  return VERDICTS[quality.verdict].word;
}

/** The warning to stand beside counts and lists; empty for a complete scan. */
export function caution(quality: Quality): Piece {
  const text = VERDICTS[quality.verdict].caution;
  return text === undefined ? '' : html`<p class="caution ${quality.verdict}">${text}</p>`;
}

export interface QualitySectionOptions {
  /** What the verdict is about. */
  readonly heading: string;
  /** Tells two of them on a page apart; of our own making. */
  readonly id: string;
  /** Hosts that something speaks against. */
  readonly doubtfulHosts?: readonly HostQuality[];
}

/** Verdict, reasons and what they rest on. */
export function qualitySection(quality: Quality, options: QualitySectionOptions): Html {
  const { word, meaning } = VERDICTS[quality.verdict];
  const reasons = qualityTexts(quality);
  return html`<section class="quality ${quality.verdict}" aria-labelledby="${options.id}">
<h2 id="${options.id}" class="verdict"><small>${options.heading}</small><strong>${word}</strong></h2>
<p class="meaning">${meaning}</p>
${reasons.length > 0 ? html`<ul class="reasons">${reasons.map((reason) => html`<li>${reason}</li>`)}</ul>` : ''}
<dl class="facts">
${fact('Hosts', hosts(quality))}
${fact('Targets missing', missingTargets(quality))}
${fact('Login', login(quality))}
${fact('Privilege', privilege(quality))}
${fact('Plugins', plugins(quality))}
${fact('Ports covered', ports(quality))}
${fact('End of the scan', `${quality.ended_as || 'not known'}${quality.stopped_early ? ' (stopped early)' : ''}`)}
</dl>
${doubtfulHosts(options.doubtfulHosts ?? [])}
</section>
`;
}

function fact(name: string, value: Piece): Html {
  return html`<div><dt>${name}</dt><dd>${value}</dd></div>`;
}

function hosts({ hosts: { listed, alive, incomplete } }: Quality): Piece {
  if (listed === 0) return 'none in the results';
  return html`${number(alive)} of ${number(listed)} alive<br>${number(listed - alive)} silent, ${number(incomplete)} incomplete`;
}

function missingTargets({ targets_missing: { count, examples }, hosts: { alive } }: Quality): Piece {
  // a host that is listed counts as there, even when it is silent
  if (count === 0) return alive === 0 ? 'all: no host answered' : 'none';
  if (examples.length === 0) return number(count);
  const more = count - examples.length;
  return `${number(count)}: ${examples.join(', ')}${more > 0 ? ` and ${number(more)} more` : ''}`;
}

function login({ credentials }: Quality): Piece {
  if (!credentials.requested) return 'not asked for: seen from the network only';
  const outcomes = Object.entries(CREDENTIAL_WORDS)
    .map(([outcome, words]) => ({ words, count: credentials.hosts[outcome as CredentialOutcome] }))
    .filter(({ count }) => count > 0)
    .map(({ words, count }) => `${words} on ${counted(count, 'host')}`);
  const protocols = Object.entries(credentials.by_protocol);
  return html`${capital(outcomes.join(', ') || 'no host to log in to')}${protocols
    .slice(0, PROTOCOLS)
    .map(
      ([protocol, counts]) =>
        html`<br><strong>${protocol}</strong>: ${number(counts.success)} ok, ${number(counts.partial)} partial, ${number(counts.failed)} failed`,
    )}${protocols.length > PROTOCOLS ? html`<br>and ${number(protocols.length - PROTOCOLS)} more protocols` : ''}`;
}

function privilege({ credentials, privilege: { sufficient, insufficient, unknown } }: Quality): Piece {
  if (!credentials.requested) return 'no login, none needed';
  return html`${number(sufficient)} sufficient, ${number(insufficient)} insufficient<br>${number(unknown)} not known`;
}

function plugins({ plugin_set: { version, age_days: age } }: Quality): Piece {
  const days =
    age === null ? 'age not known' : `${counted(Math.round(age), 'day')} old at the end of the scan`;
  return html`${version ?? 'set not known'}<br>${days}`;
}

function ports({ port_ranges: ranges }: Quality): Piece {
  return ranges.length === 0 ? 'not known' : folded(ranges.join('; '), 80, 5_000);
}

function doubtfulHosts(doubtful: readonly HostQuality[]): Piece {
  if (doubtful.length === 0) return '';
  const row = (host: HostQuality): Html => html`
<tr><th scope="row">${host.host}${host.ip !== null && host.ip !== host.host ? html` <span class="quiet">${host.ip}</span>` : ''}</th><td>${
    !host.alive ? 'silent' : host.incomplete ? 'incomplete' : 'answered'
  }</td><td>${loginOf(host)}</td><td>${host.privilege === 'unknown' ? 'not known' : host.privilege}</td><td>${textOf(host.operating_system) || '–'}</td></tr>`;
  return html`<details data-list><summary>Hosts that something speaks against (${number(doubtful.length)} listed)</summary>
${scrolling(
  'Hosts that something speaks against',
  html`<table><thead><tr><th scope="col">Host</th><th scope="col">Scan</th><th scope="col">Login</th><th scope="col">Privilege</th><th scope="col">System</th></tr></thead><tbody>${doubtful.map(row)}
</tbody></table>`,
)}</details>`;
}

function loginOf({ credentials, logins }: HostQuality): string {
  const each = logins.slice(0, PROTOCOLS).map(({ protocol, outcome }) => `${protocol} ${outcome}`);
  return each.length > 0
    ? `${CREDENTIAL_WORDS[credentials]} (${each.join(', ')})`
    : CREDENTIAL_WORDS[credentials];
}
