/** What is kept of a failed attempt, for whoever has to find out why. */
import {
  type Checkpoint,
  type Failure,
  type ScanmqError,
  ScannerError,
  type TaskRecord,
} from '@scanmq/contract';

/** More attempts than these are not kept. */
const KEPT = 10;
/** The scanner's own words, cut to a line. */
const WORDS_CHARS = 300;

export function failureOf(
  error: ScanmqError,
  facts: { readonly attempt: number; readonly at: Date; readonly checkpoint: Checkpoint | null },
): Failure {
  const scanner = error instanceof ScannerError ? error : undefined;
  return {
    attempt: facts.attempt,
    at: facts.at.toISOString(),
    code: error.code,
    message: error.message,
    scanner_instance: scanner?.instanceKey ?? facts.checkpoint?.instance_key ?? null,
    nessus_scan_id: facts.checkpoint?.nessus_scan_id ?? null,
    operation: scanner?.operation ?? null,
    scanner_http_status: scanner?.scannerHttpStatus ?? null,
    scanner_message: scanner?.scannerMessage?.slice(0, WORDS_CHARS) || null,
  };
}

export function withFailure(task: Pick<TaskRecord, 'failures'>, failure: Failure): Failure[] {
  return [...task.failures, failure].slice(-KEPT);
}
