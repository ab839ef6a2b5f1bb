/** How scans are shown: an entry of the list, the details, one host (nessus-api.md sections 4.4, 4.5 and 7). */
import type { BegunHost, Engine, SimulatedRun, SimulatedScan } from '../engine.js';
import { LOGIN_ITEMS } from '../login-outcome.js';
import { nessusDate } from '../report.js';
import type { SamplePlugin, Severity } from '../samples.js';

export type View = Record<string, unknown>;

export const seconds = (ms: number | undefined): number | null =>
  ms === undefined ? null : Math.floor(ms / 1_000);

/** The status as the API says it. */
export function wordOf(run: SimulatedRun | undefined): string {
  if (run === undefined) return 'empty';
  return run.strangeStatus && run.status === 'running' ? 'quantum' : run.status;
}

export function listEntry(scan: SimulatedScan, owner: string): View {
  const run = scan.runs.at(-1);
  return {
    id: scan.id,
    uuid: run?.uuid ?? null,
    name: scan.name,
    folder_id: scan.folderId,
    type: run ? 'local' : null,
    status: wordOf(run),
    read: run === undefined,
    owner,
    shared: false,
    user_permissions: 128,
    control: true,
    enabled: false,
    live_results: 0,
    rrules: null,
    starttime: null,
    timezone: null,
    creation_date: seconds(run?.launchedAtMs) ?? 0,
    last_modification_date: seconds(run?.endedAtMs ?? run?.startedAtMs ?? run?.launchedAtMs) ?? 0,
    simulator: true,
  };
}

/** What POST and PUT answer. The uuid is that of no run. */
export function createdScan(scan: SimulatedScan, owner: string, templateUuid: string): View {
  return {
    id: scan.id,
    uuid: `template-${templateUuid}`,
    name: scan.name,
    description: scan.description,
    type: 'public',
    policy_id: scan.id + 1_000,
    scanner_id: 1,
    container_id: 0,
    tag_id: scan.folderId,
    owner,
    owner_id: 2,
    shared: 0,
    user_permissions: 128,
    // spelt so by the real ones
    default_permisssions: 0,
    enabled: 0,
    custom_targets: scan.targets,
    starttime: null,
    rrules: null,
    timezone: null,
    emails: null,
    creation_date: seconds(scan.createdAtMs),
    last_modification_date: seconds(scan.createdAtMs),
  };
}

export function scanDetails(scan: SimulatedScan, run: SimulatedRun | undefined, engine: Engine): View {
  const begun = run ? engine.begunHosts(run) : [];
  return {
    info: {
      name: scan.name,
      uuid: run?.uuid ?? null,
      status: wordOf(run),
      object_id: scan.id,
      folder_id: scan.folderId,
      scan_type: run ? 'local' : null,
      policy: 'simulator',
      policy_template_uuid: scan.templateUuid,
      // a scan that was never launched has none
      ...(run ? { targets: run.targets } : {}),
      scanner_name: 'simulator',
      hostcount: begun.length,
      scan_start: seconds(run?.startedAtMs),
      scan_end: seconds(run?.endedAtMs),
      timestamp: seconds(run?.launchedAtMs),
      user_permissions: 128,
      control: true,
      alt_targets_used: run?.altTargets ?? null,
      no_target: 'false',
      simulator: true,
    },
    hosts: run ? begun.map((host) => hostEntry(host, run)) : null,
    comphosts: [],
    compliance: [],
    vulnerabilities: run ? vulnerabilities(begun, run) : null,
    notes: run && run.notes.length > 0 ? run.notes : null,
    remediations: {
      remediations: null,
      num_hosts: 0,
      num_cves: 0,
      num_impacted_hosts: 0,
      num_remediated_cves: 0,
    },
    history:
      scan.runs.length === 0
        ? null
        : scan.runs.map((one) => ({
            history_id: one.historyId,
            uuid: one.uuid,
            status: wordOf(one),
            type: 'local',
            scheduler: 0,
            owner_id: 2,
            alt_targets_used: one.altTargets,
            creation_date: seconds(one.launchedAtMs),
            last_modification_date: seconds(one.endedAtMs ?? one.launchedAtMs),
          })),
    filters: [],
  };
}

/** GET /scans/{id}/hosts/{host_id}. */
export function hostDetails(begun: BegunHost, run: SimulatedRun): View {
  const start = run.startedAtMs ?? run.launchedAtMs;
  return {
    info: {
      'host-ip': begun.host.name,
      host_start: nessusDate(new Date(start)),
      ...(begun.share === 1 && run.endedAtMs !== undefined
        ? { host_end: nessusDate(new Date(run.endedAtMs)) }
        : {}),
      'scanmq-simulator': 'true',
    },
    vulnerabilities: vulnerabilities([begun], run).map((entry) => ({
      host_id: hostId(begun),
      hostname: begun.host.name,
      ...entry,
    })),
    compliance: [],
  };
}

export const hostId = ({ index }: BegunHost): number => index + 2;

const pluginsOf = ({ host }: BegunHost, run: SimulatedRun): readonly SamplePlugin[] => [
  ...host.sample.plugins,
  ...LOGIN_ITEMS[run.login],
];

function hostEntry(begun: BegunHost, run: SimulatedRun): View {
  const { host, index, share } = begun;
  // totals differ between hosts: the sum over them can fall when another enters (nessus-api.md section 5)
  const total = index % 3 === 2 ? 2_506 : 100;
  const current = Math.floor(share * total);
  const counts: Record<Severity, number> = { 0: 0, 1: 0, 2: 0, 3: 0, 4: 0 };
  const plugins = pluginsOf(begun, run);
  for (const { severity } of plugins) counts[severity] += 1;
  return {
    host_id: hostId(begun),
    host_index: index,
    hostname: host.name,
    progress: `${current}-${total}/${current * 50}-${total * 50}`,
    scanprogresscurrent: current,
    scanprogresstotal: total,
    numchecksconsidered: current * 50,
    totalchecksconsidered: total * 50,
    critical: counts[4],
    high: counts[3],
    medium: counts[2],
    low: counts[1],
    info: counts[0],
    // the number of findings, not a level
    severity: plugins.length,
    severitycount: {
      item: ([0, 1, 2, 3, 4] as const).map((severitylevel) => ({
        severitylevel,
        count: counts[severitylevel],
      })),
    },
    score: plugins.length,
  };
}

function vulnerabilities(begun: readonly BegunHost[], run: SimulatedRun): View[] {
  const found = new Map<string, { plugin: SamplePlugin; count: number }>();
  for (const host of begun) {
    for (const plugin of pluginsOf(host, run)) {
      const key = `${plugin.id}/${plugin.severity}`;
      const entry = found.get(key);
      if (entry) entry.count += 1;
      else found.set(key, { plugin, count: 1 });
    }
  }
  return [...found.values()].map(({ plugin, count }, index) => ({
    plugin_id: plugin.id,
    plugin_name: plugin.name,
    plugin_family: plugin.family,
    severity: plugin.severity,
    severity_index: index,
    vuln_index: index,
    count,
    score: null,
    vpr_score: null,
    epss_score: null,
    cpe: null,
    offline: false,
    snoozed: 0,
  }));
}
