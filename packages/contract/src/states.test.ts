import { describe, expect, it } from '@jest/globals';
import {
  assertTransition,
  canTransition,
  isTerminal,
  ScanmqError,
  statesLeadingTo,
  TASK_STATES,
  type TaskState,
} from './index.js';

/** The table of contract section 2, written down a second time. */
const ALLOWED: Readonly<Record<'progress' | 'retry', readonly `${TaskState} → ${TaskState}`[]>> = {
  progress: [
    'queued → running',
    'queued → cancelled',
    'queued → failed',
    'queued → timeout',
    'running → completed',
    'running → failed',
    'running → timeout',
    'running → cancelled',
    'running → queued',
  ],
  retry: ['failed → queued', 'timeout → queued', 'cancelled → queued'],
};

describe.each(['progress', 'retry'] as const)('by %s, a task', (cause) => {
  const pairs = TASK_STATES.flatMap((from) => TASK_STATES.map((to) => [from, to] as const));
  it.each(pairs)('that is %s becomes %s only where the contract says so', (from, to) => {
    const allowed = ALLOWED[cause].includes(`${from} → ${to}`);
    expect(canTransition(from, to, cause)).toBe(allowed);
    expect(statesLeadingTo(to, cause).includes(from)).toBe(allowed);
    const change = () => assertTransition(from, to, cause);
    if (allowed) expect(change).not.toThrow();
    else {
      expect(change).toThrow(ScanmqError);
      expect(change).toThrow(
        expect.objectContaining({
          code: 'invalid_state',
          message: expect.stringContaining(`${from} cannot become ${to}`),
        }),
      );
    }
  });
});

describe('a terminal state', () => {
  it('is left by an explicit retry only, or never', () => {
    expect(TASK_STATES.filter(isTerminal)).toEqual(['completed', 'failed', 'timeout', 'cancelled']);
  });
});
