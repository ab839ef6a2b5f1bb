import { ScannerError } from '@scanmq/contract';
import type { z } from 'zod';
import type { Connection } from '../nessus/connection.js';
import { hostStates, noteTexts, parseJson, scanDetailsSchema } from '../nessus/decode.js';
import { statusClass } from '../nessus/words.js';
import type { ScanRun, ScanSnapshot } from '../scanner.js';
import { historySchema, latestStatusSchema, progressSchema } from './decode.js';

/** Runs per page (pyTenable, `tenable/io/scans.py`: `history` asks for 50). */
const PAGE = 50;
/** No scan of ours has more than one run; one that people scheduled daily has this many in about five years. */
const PAGES = 40;

/**
 * A scan as the cloud service shows it. The details of a scan are limited and large, so its state is polled by the small
 * answers that the vendor recommends for that (developer.tenable.com/reference/scans-details): the latest status, the
 * history in pages, and the progress. The details are asked for once the run does not go on: they tell name and notes.
 */
export async function getScan(
  connection: Connection,
  scanId: number,
  historyId: number | undefined,
  signal: AbortSignal | undefined,
): Promise<ScanSnapshot | undefined> {
  const { api } = connection;
  const path = `/scans/${scanId}`;

  /** @returns undefined for a 404. */
  async function look<S extends z.ZodType>(
    schema: S,
    operation: string,
    rest: string,
  ): Promise<z.output<S> | undefined> {
    const { status, body } = await api.call({
      method: 'GET',
      path: `${path}${rest}`,
      operation,
      kind: 'read',
      accept: [404],
      signal,
    });
    if (status === 404) return undefined;
    const parsed = schema.safeParse(parseJson(body));
    if (parsed.success) return parsed.data;
    throw new ScannerError(
      'scanner_unreachable',
      `${connection.instanceKey} answered '${operation}' in a form that scanmq does not know.`,
      { instanceKey: connection.instanceKey, operation },
    );
  }

  // first, so that a run which ends in between is shown as still active, and not as one that the history lacks
  const latest =
    historyId === undefined ? await look(latestStatusSchema, 'status', '/latest-status') : undefined;
  if (historyId === undefined && !latest) return undefined;
  const runs: ScanRun[] = [];
  let offset = 0;
  for (let page = 0; page < PAGES; page += 1) {
    const answer = await look(historySchema, 'history', `/history?limit=${PAGE}&offset=${offset}`);
    const found = answer?.history ?? [];
    offset += found.length;
    for (const run of found) {
      // a run that starts between two pages moves the others on by one: the last of a page is seen again
      if (runs.some((known) => known.historyId === run.id)) continue;
      runs.push({
        historyId: run.id,
        uuid: run.scan_uuid,
        status: run.status,
        statusClass: statusClass(run.status),
      });
    }
    // where no total is told, a page that is not full is the last
    const total = answer?.pagination?.total ?? (found.length < PAGE ? offset : Number.POSITIVE_INFINITY);
    if (found.length === 0 || offset >= total) break;
    // the run asked for is all that matters, and the newest come first
    if (historyId !== undefined && runs.some((run) => run.historyId === historyId)) break;
  }
  runs.sort((a, b) => a.historyId - b.historyId);

  const asked = historyId === undefined ? undefined : runs.find((run) => run.historyId === historyId);
  const query = historyId === undefined ? '' : `?history_id=${historyId}`;
  const detailsOf = () => look(scanDetailsSchema, 'details', query);
  // a run that the history lacks may still be there: an imported scan has no history (developer.tenable.com/docs/scan-status-tio)
  const missing = historyId !== undefined && !asked ? await detailsOf() : undefined;
  if (historyId !== undefined && !asked && !missing) return undefined;
  const status = asked?.status ?? missing?.info?.status ?? latest?.status ?? 'empty';
  const state = statusClass(status);
  const seen = { scanId, status, statusClass: state, runs };
  if (state === 'active') {
    const told = await ifTold(look(progressSchema, 'progress', `/progress${query}`));
    return {
      ...seen,
      name: '',
      progressPercent: Math.min(100, Math.max(0, told?.progress ?? 0)),
      hostsSeen: 0,
      hosts: [],
      notes: [],
    };
  }
  const details = missing ?? (await ifTold(detailsOf()));
  return {
    ...seen,
    name: details?.info?.name ?? '',
    progressPercent: status === 'completed' ? 100 : 0,
    hostsSeen: details?.hosts.length ?? 0,
    hosts: details ? hostStates(details) : [],
    notes: noteTexts(details?.notes),
  };
}

/** For what is only shown: a run must not fail because the service would not tell it. */
async function ifTold<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ScannerError) return undefined;
    throw error;
  }
}
