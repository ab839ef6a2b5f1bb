/** The scanner's own words (nessus-api.md sections 2.1 and 4.7). */
import type { ScanStatusClass } from '../scanner.js';

const TERMINAL = new Set(['completed', 'canceled', 'cancelled', 'stopped', 'aborted', 'imported']);

/** A word we do not know counts as active: the deadline of the task bounds how long. */
export function statusClass(status: string): ScanStatusClass {
  if (status === 'empty' || status === '') return 'idle';
  return TERMINAL.has(status) ? 'terminal' : 'active';
}

/** States of the server that pass by themselves; in all others an operator is needed. */
const PASSING = new Set(['initializing', 'loading', 'ready', 'unknown']);

export function needsOperator(serverStatus: string): boolean {
  return !PASSING.has(serverStatus);
}
