/** What asking a scanner has found, in parts: connection, login, readiness, licence, plugins, clock. */
import type { ScannerInstanceConfig } from '@scanmq/config';
import { ERROR_CODES, type ScannerProbe } from '@scanmq/contract';
import { ok, problem, skipped, type Verdict, warning } from './check.js';
import { judgeClock } from './redis-checks.js';
import { count } from './settings-checks.js';

const DAY_MS = 86_400_000;
const LICENCE_ENDS_SOON_DAYS = 30;
const OLD_PLUGINS_DAYS = 14;
/** Its clock is told to the second only, and nothing of ours goes by it to the second. */
const SCANNER_CLOCK = { warningMs: 30_000, problemMs: 300_000 };

const ADVICE: Readonly<Record<string, string>> = {
  scanner_unreachable:
    'Check url, name service and firewall, and on the scanner whether it runs (systemctl status nessusd).',
  scanner_tls:
    'Compare the fingerprint on the scanner itself, then set tls_fingerprint, or ca_file for an authority of your own.',
  scanner_auth_failed:
    'Check user name and password, or the API keys: new ones replace those that are in use.',
  scanner_rejected: 'Check that url is that of a Nessus, and that the user may use its API.',
};

export function judgeScanner(
  instance: ScannerInstanceConfig,
  probe: ScannerProbe,
  now: Date,
): readonly Verdict[] {
  const name = (part: string): string => `scanners.${instance.instanceKey}.${part}`;
  const reason = sentence(probe.reason ?? 'it could not be asked');
  const verdicts: Verdict[] = [];
  const rest = (parts: readonly string[]): readonly Verdict[] =>
    parts.map((part) => skipped(name(part), 'It could not be asked.'));
  const clock =
    probe.clock_ahead_ms === null
      ? []
      : [judgeClock(name('clock'), instance.instanceKey, probe.clock_ahead_ms, SCANNER_CLOCK)];

  if (!probe.healthy && (probe.readiness in ERROR_CODES || probe.readiness === 'unknown')) {
    const advice = ADVICE[probe.readiness] ?? 'Look at the log of the scanner.';
    if (probe.readiness !== 'scanner_auth_failed')
      return [problem(name('connection'), reason, advice), ...rest(['login', 'licence']), ...clock];
    return [
      ok(name('connection'), `${instance.url} answers, and its certificate is trusted.`),
      problem(name('login'), reason, advice),
      ...rest(['licence']),
      ...clock,
    ];
  }
  verdicts.push(ok(name('connection'), `${instance.url} answers, and its certificate is trusted.`));
  if (!probe.healthy)
    return [
      ...verdicts,
      probe.needs_operator
        ? problem(
            name('readiness'),
            reason,
            'Open its own interface: it has to be registered, or its licence or feed renewed.',
          )
        : warning(
            name('readiness'),
            reason,
            'Wait: loading plugins takes minutes, after an installation up to an hour. Tasks wait meanwhile.',
          ),
      ...rest(['login', 'licence']),
      ...clock,
    ];
  return [
    ...verdicts,
    ok(
      name('login'),
      `Version ${probe.version ?? 'unknown'}${probe.simulator ? ' (a simulator)' : ''} is ready and takes our ${instance.auth.kind === 'session' ? 'login' : 'API keys'}; up to ${count(instance.maxConcurrentScans, 'scan')} at once.`,
    ),
    judgeLicence(name('licence'), instance, probe, now),
    ...judgePlugins(name('plugins'), probe.plugin_set, now),
    ...clock,
  ];
}

function judgeLicence(
  name: string,
  instance: ScannerInstanceConfig,
  probe: ScannerProbe,
  now: Date,
): Verdict {
  const daysLeft =
    probe.licence_expires_at === null
      ? undefined
      : Math.floor((Date.parse(probe.licence_expires_at) - now.getTime()) / DAY_MS);
  const words = [
    probe.licence ?? 'unknown licence',
    ...(probe.licence_hosts === null ? [] : [`up to ${count(probe.licence_hosts, 'host')}`]),
    ...(probe.licence_expires_at === null ? [] : [`until ${probe.licence_expires_at.slice(0, 10)}`]),
  ].join(', ');
  if (daysLeft !== undefined && daysLeft < 0)
    return problem(name, `Its licence has ended: ${words}.`, 'Renew it in the interface of the scanner.');
  if (probe.mode === 'export_only')
    return instance.follow === undefined
      ? warning(
          name,
          `It may only export, not launch: ${words}.`,
          'Start scans in its own interface and collect them (follow, "scanmq import"), or see "interface: web_session" in the README.',
        )
      : ok(name, `It may only export; its folder '${instance.follow}' is followed: ${words}.`);
  if (daysLeft !== undefined && daysLeft < LICENCE_ENDS_SOON_DAYS)
    return warning(
      name,
      `Its licence ends in ${count(daysLeft, 'day')}: ${words}.`,
      'Renew it in the interface of the scanner.',
    );
  return probe.mode === 'unknown'
    ? warning(
        name,
        `It does not say whether scans may be launched by API: ${words}.`,
        'Submit a small scan to it, and look whether it is accepted.',
      )
    : ok(name, `It may launch scans: ${words}.`);
}

/** @param pluginSet `YYYYMMDDHHMM` (nessus-api.md section 2.2). */
function judgePlugins(name: string, pluginSet: string | null, now: Date): readonly Verdict[] {
  const [, year, month, day] = /^(\d{4})(\d{2})(\d{2})\d{4}$/.exec(pluginSet ?? '') ?? [];
  const madeMs = Date.parse(`${year}-${month}-${day}T00:00:00Z`);
  if (Number.isNaN(madeMs)) return [skipped(name, 'It does not tell the age of its plugins.')];
  const days = Math.max(0, Math.floor((now.getTime() - madeMs) / DAY_MS));
  const found = `Its plugins are of ${year}-${month}-${day}, ${count(days, 'day')} old.`;
  return [
    days > OLD_PLUGINS_DAYS
      ? warning(
          name,
          found,
          'Let it update its plugins, or load them by hand: what was found out since then is not looked for.',
        )
      : ok(name, found),
  ];
}

function sentence(text: string): string {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?)]$/.test(begun) ? begun : `${begun}.`;
}
