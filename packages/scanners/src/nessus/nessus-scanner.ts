import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ScannerInstanceConfig } from '@scanmq/config';
import { ScannerError, type ScannerProbe } from '@scanmq/contract';
import type { z } from 'zod';
import type {
  ExportState,
  FolderScan,
  Readiness,
  ScanListing,
  Scanner,
  ScanPlan,
  ScanRun,
  ScanSnapshot,
} from '../scanner.js';
import { type Call, createApi, errorOf } from './api.js';
import { credentialPayload } from './credentials.js';
import {
  createdSchema,
  exportRequestedSchema,
  exportStatusSchema,
  folderCreatedSchema,
  foldersSchema,
  launchedSchema,
  noteTexts,
  parseJson,
  progressPercent,
  scanDetailsSchema,
  scanListSchema,
  serverPropertiesSchema,
  serverStatusSchema,
  templatesSchema,
  uploadedSchema,
} from './decode.js';
import { createHttp, DEFAULT_TIMEOUTS, type HttpTimeouts } from './http.js';
import { modeOf, scanApiOf } from './licence.js';
import { createSession } from './session.js';
import { TEMPLATE_UUIDS } from './templates.js';
import { needsOperator, statusClass } from './words.js';

export interface NessusScannerOptions {
  readonly timeouts?: Partial<HttpTimeouts>;
  readonly now?: () => Date;
}

/** Drives one on-premises Nessus by its API (nessus-api.md; the ten rules of its section 0 hold throughout). */
export function createNessusScanner(
  config: ScannerInstanceConfig,
  options: NessusScannerOptions = {},
): Scanner {
  const { instanceKey } = config;
  const now = options.now ?? (() => new Date());
  const http = createHttp(config, { ...DEFAULT_TIMEOUTS, ...options.timeouts });
  const session = createSession(config, http);
  const api = createApi(config, http, session);
  let folderId: number | undefined;

  async function ask<S extends z.ZodType>(call: Call, schema: S): Promise<z.output<S>> {
    const { body } = await api.call(call);
    const parsed = schema.safeParse(parseJson(body));
    if (parsed.success) return parsed.data;
    throw new ScannerError(
      'scanner_rejected',
      `${instanceKey} answered '${call.operation}' in a form that scanmq does not know.`,
      {
        instanceKey,
        operation: call.operation,
        // a write was accepted, but what it made is not known: only a look can tell
        retryable: call.kind === 'scan' ? 'unknown_outcome' : 'yes',
      },
    );
  }

  /** A control call: its body is empty or without meaning; 409 means that the state of the scan does not fit. */
  async function control(
    scanId: number,
    action: string,
    accept: readonly number[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    await api.call({
      method: 'POST',
      path: `/scans/${scanId}/${action}`,
      operation: action,
      kind: 'scan',
      json: {},
      accept,
      signal,
    });
  }

  async function templateUuid(name: string, signal: AbortSignal | undefined): Promise<string> {
    const { templates } = await ask(
      { method: 'GET', path: '/editor/scan/templates', operation: 'templates', kind: 'read', signal },
      templatesSchema,
    );
    const uuid = templates.find((template) => template.name === name)?.uuid ?? TEMPLATE_UUIDS.get(name);
    if (uuid !== undefined) return uuid;
    const known = templates.map((template) => template.name).sort();
    throw new ScannerError(
      'scanner_rejected',
      `${instanceKey} has no template '${name}'. It has: ${known.join(', ')}.`,
      { instanceKey, operation: 'templates' },
    );
  }

  async function folder(signal: AbortSignal | undefined): Promise<number | undefined> {
    if (config.folder === undefined || folderId !== undefined) return folderId;
    const { folders } = await ask(
      { method: 'GET', path: '/folders', operation: 'folders', kind: 'read', signal },
      foldersSchema,
    );
    folderId =
      folders.find((candidate) => candidate.name === config.folder)?.id ??
      (
        await ask(
          {
            method: 'POST',
            path: '/folders',
            operation: 'create folder',
            kind: 'scan',
            json: { name: config.folder },
            signal,
          },
          folderCreatedSchema,
        )
      ).id;
    return folderId;
  }

  async function uploadKey(privateKey: string, signal: AbortSignal | undefined): Promise<string> {
    const form = new FormData();
    form.set('Filedata', new Blob([privateKey]), 'private_key');
    // an upload that is repeated only makes another file
    const { fileuploaded } = await ask(
      { method: 'POST', path: '/file/upload', operation: 'upload key', kind: 'export', form, signal },
      uploadedSchema,
    );
    return fileuploaded;
  }

  async function readiness(signal?: AbortSignal): Promise<Readiness> {
    // without login, and with a meaningful body on 503 (nessus-api.md section 0, rule 9)
    const { status, body } = await http.exchange({
      method: 'GET',
      path: '/server/status',
      operation: 'readiness',
      write: false,
      signal,
    });
    const parsed = serverStatusSchema.safeParse(parseJson(body));
    if (!parsed.success) {
      if (status === 200 || status === 503)
        return { ready: false, word: 'loading', progressPercent: null, operatorNeeded: false };
      throw errorOf({ status, body }, { operation: 'readiness' }, instanceKey, config);
    }
    const { status: word, progress, detailed_status: detail } = parsed.data;
    const loginAllowed = detail?.login_status === undefined || detail.login_status === 'allow';
    return {
      ready: word === 'ready' && loginAllowed,
      word: word === 'ready' && !loginAllowed ? 'login not allowed yet' : word,
      progressPercent: progress ?? null,
      operatorNeeded: needsOperator(word),
    };
  }

  return {
    instanceKey,
    readiness,

    async probe(signal) {
      const health: ScannerProbe = {
        instance_key: instanceKey,
        checked_at: now().toISOString(),
        healthy: false,
        readiness: 'unknown',
        mode: 'unknown',
        version: null,
        licence: null,
        scan_api: null,
        plugin_set: null,
        simulator: false,
        reason: null,
        needs_operator: false,
      };
      try {
        const ready = await readiness(signal);
        if (!ready.ready) {
          return {
            ...health,
            readiness: ready.word,
            reason: ready.operatorNeeded
              ? `the scanner says '${ready.word}' and needs its operator`
              : `the scanner is ${ready.word}`,
            needs_operator: ready.operatorNeeded,
          };
        }
        const properties = await ask(
          { method: 'GET', path: '/server/properties', operation: 'properties', kind: 'read', signal },
          serverPropertiesSchema,
        );
        const mode = modeOf(properties, config);
        return {
          ...health,
          healthy: true,
          readiness: ready.word,
          mode,
          // server_version may be the number of the engine (nessus-api.md section 2.2)
          version: properties.nessus_ui_version ?? properties.server_version ?? null,
          licence: properties.license?.name ?? properties.nessus_type ?? null,
          scan_api: scanApiOf(properties),
          plugin_set: properties.loaded_plugin_set ?? properties.plugin_set ?? null,
          simulator: properties.simulator ?? false,
          reason: mode === 'export_only' ? 'its licence does not offer launching scans by API' : null,
        };
      } catch (error) {
        const known = error instanceof ScannerError ? error : undefined;
        return {
          ...health,
          readiness: known?.code ?? 'unknown',
          reason: known?.message ?? 'it could not be asked',
          needs_operator: known !== undefined && (known.retryable === 'no' || isUnknownName(known)),
        };
      }
    },

    async findScans(marker, signal) {
      const { scans } = await ask(
        { method: 'GET', path: '/scans', operation: 'list scans', kind: 'read', signal },
        scanListSchema,
      );
      return scans.filter((scan) => scan.name.includes(marker)).map(toListing);
    },

    async listFolder(name, signal) {
      const { folders } = await ask(
        { method: 'GET', path: '/folders', operation: 'folders', kind: 'read', signal },
        foldersSchema,
      );
      const id = folders.find((candidate) => candidate.name === name)?.id;
      if (id === undefined) return undefined;
      const { scans } = await ask(
        {
          method: 'GET',
          path: `/scans?folder_id=${id}`,
          operation: 'list scans',
          kind: 'read',
          signal,
        },
        scanListSchema,
      );
      return scans.map(
        (scan): FolderScan => ({ ...toListing(scan), changedAt: scan.last_modification_date }),
      );
    },

    async createScan(plan: ScanPlan, signal, write) {
      const uuid = await templateUuid(plan.template, signal);
      const folder_id = await folder(signal);
      const credentials =
        plan.credentials && (await credentialPayload(plan.credentials, (key) => uploadKey(key, signal)));
      const settings = {
        name: plan.name,
        description: plan.description,
        text_targets: plan.targets,
        // of the scanner's own schedule: ours are launched by us
        enabled: false,
        launch: 'ON_DEMAND',
        launch_now: false,
        ...(folder_id === undefined ? {} : { folder_id }),
      };
      const { scan } = await ask(
        {
          method: 'POST',
          path: '/scans',
          operation: 'create',
          kind: 'scan',
          json: { uuid, settings, ...(credentials ? { credentials } : {}) },
          signal,
          ...write,
        },
        createdSchema,
      );
      return { scanId: scan.id };
    },

    async launchScan(scanId, signal, write) {
      const { scan_uuid } = await ask(
        {
          method: 'POST',
          path: `/scans/${scanId}/launch`,
          operation: 'launch',
          kind: 'scan',
          json: {},
          signal,
          ...write,
        },
        launchedSchema,
      );
      return { runUuid: scan_uuid };
    },

    async getScan(scanId, historyId, signal) {
      const query = historyId === undefined ? '' : `?history_id=${historyId}`;
      const answer = await api.call({
        method: 'GET',
        path: `/scans/${scanId}${query}`,
        operation: 'status',
        kind: 'read',
        accept: [404],
        signal,
      });
      if (answer.status === 404) return undefined;
      const parsed = scanDetailsSchema.safeParse(parseJson(answer.body));
      if (!parsed.success) {
        throw new ScannerError(
          'scanner_unreachable',
          `${instanceKey} answered 'status' in a form that scanmq does not know.`,
          { instanceKey, operation: 'status' },
        );
      }
      const details = parsed.data;
      const runs = details.history.map(
        (run): ScanRun => ({
          historyId: run.history_id,
          uuid: run.uuid,
          status: run.status,
          statusClass: statusClass(run.status),
        }),
      );
      const status = details.info?.status ?? runs.at(-1)?.status ?? 'empty';
      return {
        scanId,
        name: details.info?.name ?? '',
        status,
        statusClass: statusClass(status),
        progressPercent: status === 'completed' ? 100 : progressPercent(details),
        hostsSeen: details.hosts.length,
        runs,
        notes: noteTexts(details.notes),
      } satisfies ScanSnapshot;
    },

    // 409: not active any more. Whether it has stopped is what getScan tells
    stopScan: (scanId, signal) => control(scanId, 'stop', [409], signal),
    pauseScan: (scanId, signal) => control(scanId, 'pause', [], signal),
    resumeScan: (scanId, signal) => control(scanId, 'resume', [], signal),

    async deleteScan(scanId, signal) {
      await api.call({
        method: 'DELETE',
        path: `/scans/${scanId}`,
        operation: 'delete',
        kind: 'scan',
        accept: [404],
        signal,
      });
    },

    async requestExport(scanId, historyId, signal) {
      const query = historyId === undefined ? '' : `?history_id=${historyId}`;
      try {
        const { file } = await ask(
          {
            method: 'POST',
            path: `/scans/${scanId}/export${query}`,
            operation: 'export',
            kind: 'export',
            json: { format: 'nessus' },
            signal,
          },
          exportRequestedSchema,
        );
        return file;
      } catch (error) {
        if (
          !(error instanceof ScannerError) ||
          (error.scannerHttpStatus !== 409 && error.scannerHttpStatus !== 404)
        )
          throw error;
        // 409: the scanner has not quite ended the run yet
        throw new ScannerError('export_failed', error.message, {
          instanceKey,
          operation: 'export',
          scannerHttpStatus: error.scannerHttpStatus,
        });
      }
    },

    async exportState(scanId, fileId, signal): Promise<ExportState> {
      const { status, body } = await api.call({
        method: 'GET',
        path: `/scans/${scanId}/export/${encodeURIComponent(fileId)}/status`,
        operation: 'export status',
        kind: 'read',
        accept: [404, 500],
        signal,
      });
      if (status === 404) return 'gone';
      // a 200 does not mean ready (nessus-api.md section 6.2)
      const word = exportStatusSchema.safeParse(parseJson(body)).data?.status;
      if (status === 500 || word === 'error') return 'failed';
      return word === 'ready' ? 'ready' : 'loading';
    },

    async downloadExport(scanId, fileId, signal): Promise<Readable> {
      const path = `/scans/${scanId}/export/${encodeURIComponent(fileId)}/download`;
      for (let renewed = false; ; renewed = true) {
        const headers = await api.authHeaders(signal);
        const { status, body } = await http.download({
          method: 'GET',
          path,
          headers,
          operation: 'download',
          write: false,
          signal,
        });
        if (status === 200) return translated(body, instanceKey);
        body.destroy();
        if (status === 401 && !renewed && api.expire(headers)) continue;
        if (status === 404 || status === 409) {
          throw new ScannerError('export_failed', `${instanceKey} no longer has the export (${status}).`, {
            instanceKey,
            operation: 'download',
            scannerHttpStatus: status,
          });
        }
        throw errorOf({ status, body: '' }, { operation: 'download' }, instanceKey, config);
      }
    },

    async close() {
      await session.end();
      http.close();
    },
  };
}

/** A host name that does not exist is a mistake in the configuration, not an outage. */
function isUnknownName({ cause }: ScannerError): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOTFOUND';
}

function toListing(scan: { id: number; name: string; status: string }): ScanListing {
  return { scanId: scan.id, name: scan.name, status: scan.status, statusClass: statusClass(scan.status) };
}

/** The stream with its failures as ScannerError; a connection that closes early must not look like the end of the file. */
function translated(body: Readable, instanceKey: string): Readable {
  const out = new PassThrough();
  void pipeline(body, out, { end: true }).catch(() => {
    out.destroy(
      new ScannerError('export_failed', `The download from ${instanceKey} broke off.`, {
        instanceKey,
        operation: 'download',
      }),
    );
  });
  return out;
}
