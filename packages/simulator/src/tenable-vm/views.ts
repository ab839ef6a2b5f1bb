/**
 * Answers in which the cloud service differs from a Nessus. Their forms are those recorded in pyTenable,
 * `tests/io/cassettes`; each function names its recording.
 */
import type { SimulatedRun, SimulatedScan } from '../engine.js';
import { NessusRefusal } from '../nessus/refusal.js';
import { seconds, type View, wordOf } from '../nessus/scan-views.js';

/** A scanner of the vendor, which is taken where none is named, one that somebody linked, and two of the same name. */
const SCANNERS = [
  { uuid: '00000000-0000-0000-0000-00000000000000000000000000001', name: 'US Cloud Scanner', type: 'local' },
  { uuid: '3e839499-e7a5-4aa5-8a2d-61e621ea343b', name: 'linked-scanner', type: 'managed' },
  { uuid: '7699e6b9-7f14-40fe-8743-3e8d4590ed8b', name: 'twins', type: 'pool' },
  { uuid: '3945f352-e317-4430-927a-dc1b13a8d5da', name: 'twins', type: 'pool' },
] as const;

/** @throws NessusRefusal 400 for a scanner that there is not. */
export function scannerUuidOf(wanted: string | number | undefined): string {
  const uuid = String(wanted ?? SCANNERS[0].uuid);
  if (SCANNERS.some((scanner) => scanner.uuid === uuid)) return uuid;
  throw new NessusRefusal(400, "Invalid 'scanner_id' field");
}

/** `test_list_scanners`. */
export function cloudScanners(active: number): readonly View[] {
  return SCANNERS.map(({ uuid, name, type }, index) => ({
    id: 116_258 + index,
    uuid,
    name,
    type,
    group: type !== 'managed',
    pool: type !== 'managed',
    status: 'on',
    linked: 1,
    scan_count: active,
    num_scans: active,
    source: 'service',
    simulator: true,
  }));
}

/** `test_scan_create_scan_document_scanner_name_pass`: what a user may choose. */
export function cloudInputs(): readonly View[] {
  return [
    { type: 'entry', id: 'name', name: 'Name', required: true, default: '' },
    {
      type: 'select',
      id: 'scanner_id',
      name: 'Scanner',
      default: null,
      options: SCANNERS.map(({ uuid, name, type }) => ({ id: uuid, name, type, linked: true, status: 'on' })),
    },
  ];
}

/** `test_server_status`: nothing but the code and the word. */
export function cloudStatus(code: number, { status }: View): View {
  return { code, status, simulator: true };
}

/** `test_server_properties`: no `features`, and a licence without a name. */
export function cloudProperties(pluginSet: string): View {
  return {
    nessus_type: 'Nessus Cloud (simulator)',
    nessus_ui_version: '11.0.46',
    server_version: '6.9.1',
    server_build: 'C20023',
    plugin_set: pluginSet,
    loaded_plugin_set: pluginSet,
    enterprise: true,
    idle_timeout: '30',
    license: { ips: -1, agents: -1, scanners: -1, users: -1, evaluation: false },
    notifications: [],
    simulator: true,
  };
}

/** `test_session_details`. */
export function cloudUser(username: string): View {
  return {
    id: 3,
    username,
    user_name: username,
    name: username,
    type: 'local',
    permissions: 64,
    enabled: true,
    container_id: 1_215,
    features: {},
    groups: [],
    simulator: true,
  };
}

/** `test_scan_create_scan_success`. */
export function cloudCreatedScan(scan: SimulatedScan, { default_permisssions: _spelt, ...view }: View): View {
  return {
    ...view,
    scanner_id: null,
    scanner_uuid: scan.scannerUuid,
    container_id: 'd8631403-ed95-4aa9-9137-e691b6dc3b4e',
    owner_uuid: '1a2d0102-11b0-4aee-b04f-7240fb66514f',
    default_permissions: 0,
    enabled: scan.enabled,
    auto_routed: 0,
    remediation: 0,
  };
}

/** `test_scan_list`. */
export function cloudListEntry(scan: SimulatedScan, view: View): View {
  return {
    ...view,
    type: scan.runs.length === 0 ? null : 'ps',
    permissions: 128,
    legacy: false,
    enabled: scan.enabled,
    schedule_uuid: `template-${scan.id}`,
    policy_id: scan.id - 1,
  };
}

/** `test_scan_results`: the history is newest first. */
export function cloudScanDetails(scan: SimulatedScan, { info, history, ...view }: View): View {
  return {
    ...view,
    info: {
      ...(info as View),
      scan_type: scan.runs.length === 0 ? null : 'ps',
      scanner_name: SCANNERS.find(({ uuid }) => uuid === scan.scannerUuid)?.name ?? null,
      is_archived: false,
      reindexing: false,
    },
    history: Array.isArray(history)
      ? history.map((entry: View) => ({ ...entry, type: 'ps', is_archived: false })).reverse()
      : [],
  };
}

/** One run of `/scans/{id}/history`, as in demisto/content, `Packs/Tenable_io/…/test_data/get_scan_history.json`. */
export function historyEntry(run: SimulatedRun): View {
  return {
    id: run.historyId,
    scan_uuid: run.uuid,
    status: wordOf(run),
    time_start: seconds(run.startedAtMs ?? run.launchedAtMs),
    time_end: seconds(run.endedAtMs),
    is_archived: false,
    visibility: 'public',
    targets: { custom: run.altTargets, default: null },
  };
}
