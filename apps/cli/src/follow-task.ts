/**
 * Follows a task to its end by its stream of events, which is taken up again after the last event wherever it breaks; by
 * asking again and again where the stream cannot be had. A service that is away is waited for, within bounds.
 */
import { isTerminal, type ScanEvent, type ScanStatus } from '@scanmq/contract';
import type { Client } from './client.js';
import { duration } from './live-frame.js';
import { createPatience, isAway, type Patience, pause } from './patience.js';
import type { ProgressLine } from './progress-line.js';

export interface FollowTaskOptions {
  /** Stops following; what was known last is the answer. */
  readonly signal?: AbortSignal | undefined;
  /** How long a service that is away is waited for, milliseconds. */
  readonly patienceMs: number;
  /** How often facts that no event tells are looked up: place in the queue, estimate. */
  readonly refreshMs: number;
  /** The task as it was a moment ago; looked up when left out, and a service that is away then is not waited for. */
  readonly known?: ScanStatus;
}

/** Between two looks where there is no stream, seconds; the service answers at once when the task ends. */
const POLL_SECONDS = 2;
const PAUSE_MS = 1_000;
/** Streams that stayed silent until they broke: something between us and the service holds them back. */
const SILENT_STREAMS = 2;
/** Streams that ended without the end of a task that has ended: one that is asked for once more may tell it. */
const BROKEN_STREAMS = 2;
/** Events of the past come in one go: one look after the last of them is enough. */
const SETTLE_MS = 200;

/**
 * @returns the task, when it has ended or the signal was aborted.
 * @throws ScanmqError what the service refused; `unavailable` when it stayed away for longer than the patience.
 */
export async function followTask(
  client: Client,
  taskId: string,
  line: ProgressLine,
  options: FollowTaskOptions,
): Promise<ScanStatus> {
  const { signal, patienceMs } = options;
  const first = options.known ?? (await client.status(taskId));
  if (isTerminal(first.status)) return first;
  const patience = createPatience(patienceMs, taskId, (trouble) =>
    line.trouble(
      trouble && `${trouble.message} Trying again for ${duration(patienceMs)}; the scan goes on meanwhile.`,
    ),
  );
  const view = createView(client, line, first, options.refreshMs);
  let lastId: string | undefined;
  let endTold = false;
  let silentStreams = 0;
  let brokenStreams = 0;
  try {
    while (!signal?.aborted) {
      const streaming = silentStreams < SILENT_STREAMS;
      let alive = false;
      try {
        if (streaming) {
          const onAlive = (): void => {
            alive = true;
            patience.fine();
          };
          for await (const event of client.events(taskId, lastId, { signal, onAlive })) {
            lastId = event.id === 0 ? lastId : String(event.id);
            if (event.type === 'state' || event.type === 'snapshot') endTold = isTerminal(event.data.status);
            view.take(event);
          }
        }
        // a stream ends with its task, or with the gateway
        const latest = await client.status(taskId, streaming ? 0 : POLL_SECONDS);
        patience.fine();
        // one that ended with its gateway, and the task has ended since: what it did not tell comes with another
        if (streaming && isTerminal(latest.status) && !endTold && brokenStreams < BROKEN_STREAMS) {
          brokenStreams += 1;
          continue;
        }
        view.show(latest);
        if (isTerminal(latest.status)) return latest;
      } catch (error) {
        if (signal?.aborted) break;
        const there = await answers(client, taskId, patience, error);
        // it has no stream, or somebody in between keeps it from us
        if (there && !isAway(error)) silentStreams = SILENT_STREAMS;
        else if (there && !alive) silentStreams += 1;
        else silentStreams = 0;
      }
      await pause(PAUSE_MS, signal);
    }
    return view.status();
  } finally {
    view.close();
  }
}

/** Whether the service answers for the task although its stream broke. @throws what it refuses; as `Patience.away`. */
async function answers(
  client: Client,
  taskId: string,
  patience: Patience,
  broken: unknown,
): Promise<boolean> {
  try {
    await client.status(taskId);
    return true;
  } catch (error) {
    if (!isAway(error)) throw error;
    patience.away(isAway(broken) ? broken : error);
    return false;
  }
}

interface View {
  take(event: ScanEvent): void;
  show(status: ScanStatus): void;
  status(): ScanStatus;
  close(): void;
}

/** What events tell, put together with what they do not. */
function createView(client: Client, line: ProgressLine, first: ScanStatus, refreshMs: number): View {
  let status = first;
  /** Counts what was shown, so that an answer that is older than an event is not shown after it. */
  let shown = 0;
  let settling: NodeJS.Timeout | undefined;

  function show(next: ScanStatus, at?: string): void {
    status = next;
    shown += 1;
    line.show(next, at);
  }

  function refresh(): void {
    const before = shown;
    client.status(first.task_id).then(
      (fresh) => {
        // the stream tells of the end, after all that led to it
        if (shown === before && !isTerminal(fresh.status)) show(fresh);
      },
      // the stream tells when the service is away
      () => undefined,
    );
  }

  const refreshing = setInterval(refresh, refreshMs);
  return {
    take(event) {
      switch (event.type) {
        case 'snapshot':
          show(event.data);
          break;
        case 'log':
          line.note(event.data.message, event.data.at);
          break;
        case 'progress': {
          const { at, progress, scanner_status } = event.data;
          line.progress(event.data);
          show({ ...status, progress, scanner_status }, at);
          break;
        }
        case 'state': {
          const { at, status: state, attempts, progress, scanner_instance, error } = event.data;
          const facts = { status: state, attempts, progress, scanner_instance, error };
          show({ ...status, ...facts, scanner_status: null, queue_position: null, waiting_reason: null }, at);
          clearTimeout(settling);
          if (!isTerminal(state)) settling = setTimeout(refresh, SETTLE_MS);
        }
      }
    },
    show: (next) => show(next),
    status: () => status,
    close() {
      clearInterval(refreshing);
      clearTimeout(settling);
    },
  };
}
