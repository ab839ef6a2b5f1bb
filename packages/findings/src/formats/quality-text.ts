import type { IgnoreRule, Quality, QualityReason } from '@scanmq/contract';

/** One sentence for a reason why a scan says less than it seems to, with its figures. */
export function reasonText(reason: QualityReason, quality: Quality): string {
  const { hosts, targets_missing: missing, credentials, privilege, plugin_set: plugins } = quality;
  switch (reason) {
    case 'nothing_scanned':
      return 'No host answered: nothing was scanned, so no finding means nothing.';
    case 'stopped_early':
      return `The scan stopped early (${quality.ended_as}): the results are incomplete.`;
    case 'hosts_silent':
      return `${hosts.listed - hosts.alive} of ${hosts.listed} hosts in the results did not answer.`;
    case 'hosts_incomplete':
      return `The scan of ${hosts.incomplete} hosts began and did not end.`;
    case 'targets_missing':
      return `${missing.count} of the requested targets are not in the results.`;
    case 'credentials_failed':
      return `The login failed on ${credentials.hosts.failed} hosts: what only a login shows is not in the results.`;
    case 'credentials_partial':
      return `The login worked on ${credentials.hosts.success} hosts, on others only in part or not at all.`;
    case 'privilege_insufficient':
      return `On ${privilege.insufficient} hosts the login was not allowed to look at everything.`;
    case 'plugins_old':
      return plugins.age_days === null
        ? 'The plugins of the scanner were old: newer vulnerabilities are not found.'
        : `The plugins of the scanner were ${Math.round(plugins.age_days)} days old: newer vulnerabilities are not found.`;
    case 'text_repaired':
      return 'Texts of the export had to be repaired before they could be read.';
    case 'severity_unknown':
      return 'Some findings have no known severity and are counted as info.';
  }
}

/** All sentences of a verdict; one at least unless it is complete. */
export function qualityTexts(quality: Quality): string[] {
  const texts = quality.reasons.map((reason) => reasonText(reason, quality));
  if (texts.length === 0 && quality.verdict !== 'complete') return [`The results are ${quality.verdict}.`];
  return texts;
}

/** Why a finding is left out, and for how long. */
export function ignoredBecause({ reason, expires, owner }: IgnoreRule): string {
  return `Ignored until ${expires}${owner ? ` (${owner})` : ''}: ${reason}`;
}
