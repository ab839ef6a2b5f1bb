import { describe, expect, it } from '@jest/globals';
import { ScanmqError, ScannerError, type TaskRecord } from '@scanmq/contract';
import type { Scanner, ScanSnapshot } from '@scanmq/scanners';
import { type CleanupDeps, deleteScan, scanMayGo } from './scanner-cleanup.js';

const TASK_ID = 'ne_ness_20261101_000000_00000001';
const MARKER = `[scanmq ${TASK_ID}]`;

function taskWith(change: Partial<TaskRecord> = {}): TaskRecord {
  return {
    task_id: TASK_ID,
    state: 'completed',
    imported: null,
    error: null,
    scanner_scan: 'kept',
    checkpoint: {
      generation: 1,
      instance_key: 'nessus:scanner1',
      nessus_scan_id: 7,
      ended_as: 'completed',
      export: { bytes: 1, sha256: '' },
    },
    ...change,
  } as TaskRecord;
}

const finished: ScanSnapshot = {
  scanId: 7,
  name: `Weekly ${MARKER}`,
  status: 'completed',
  statusClass: 'terminal',
  progressPercent: 100,
  hostsSeen: 1,
  runs: [{ historyId: 1, uuid: 'u', status: 'completed', statusClass: 'terminal' }],
  notes: [],
};

/** A scanner that has one scan, and a record that notes each change. */
function place(scan: ScanSnapshot | undefined, options: { amend?: () => void; remove?: () => void } = {}) {
  const steps: string[] = [];
  const scanner: Pick<Scanner, 'getScan' | 'deleteScan'> = {
    getScan: async () => scan,
    async deleteScan(scanId) {
      options.remove?.();
      steps.push(`delete ${scanId}`);
    },
  };
  const deps = {
    settings: { scannerCleanup: 'delete' },
    registry: {
      instance: (key: string) => (key === 'nessus:scanner1' ? {} : undefined),
      scanner: () => scanner,
    },
    queue: {
      tasks: {
        async amend(_taskId: string, change: Partial<TaskRecord>) {
          options.amend?.();
          steps.push(String(change.scanner_scan));
        },
      },
    },
  };
  return {
    steps,
    run: (task = taskWith()) =>
      // only what is used of it
      deleteScan(deps as unknown as CleanupDeps, task, new AbortController().signal),
  };
}

describe('the scan of a task', () => {
  it('is deleted between two writes of the record', async () => {
    const { steps, run } = place(finished);
    expect(await run()).toEqual({ outcome: 'deleted' });
    expect(steps).toEqual(['deleting', 'delete 7', 'deleted']);
  });

  it.each<[string, Partial<ScanSnapshot>]>([
    ['has no marker', { name: 'Weekly' }],
    ['has the marker of another task', { name: 'Weekly [scanmq ne_ness_20261101_000000_00000002]' }],
    ['has the marker of another try', { name: `Weekly [scanmq ${TASK_ID} #2]` }],
    ['was run again by somebody', { runs: [...finished.runs, ...finished.runs] }],
  ])('is left for good when it %s', async (_, change) => {
    const { steps, run } = place({ ...finished, ...change });
    expect((await run()).outcome).toBe('left');
    expect(steps).toEqual(['left']);
  });

  it.each<[string, Partial<ScanSnapshot>]>([
    ['runs', { status: 'running', statusClass: 'active' }],
    ['was never run', { status: 'empty', statusClass: 'idle', runs: [] }],
    ['does not tell its name', { name: '' }],
  ])('is not touched while it %s', async (_, change) => {
    const { steps, run } = place({ ...finished, ...change });
    expect((await run()).outcome).toBe('later');
    expect(steps).toEqual([]);
  });

  it('that is gone already counts as deleted', async () => {
    const { steps, run } = place(undefined);
    expect(await run()).toEqual({ outcome: 'deleted' });
    expect(steps).toEqual(['deleted']);
  });

  it('is not touched when somebody has retried the task meanwhile', async () => {
    const { steps, run } = place(finished, {
      amend: () => {
        throw new ScanmqError('invalid_state', 'The task is queued already.');
      },
    });
    await expect(run()).rejects.toMatchObject({ code: 'invalid_state' });
    expect(steps).toEqual([]);
  });

  it('stays marked for the next pass when the scanner fails in that moment', async () => {
    const { steps, run } = place(finished, {
      remove: () => {
        throw new ScannerError('scanner_unreachable', 'reset', { retryable: 'unknown_outcome' });
      },
    });
    await expect(run()).rejects.toMatchObject({ code: 'scanner_unreachable' });
    expect(steps).toEqual(['deleting']);
    expect(scanMayGo(taskWith({ scanner_scan: 'deleting' }), false)).toBe(true);
  });

  it('on a scanner that is no longer configured waits', async () => {
    const { run } = place(finished);
    const task = taskWith();
    const moved = taskWith({
      checkpoint: { generation: 1, instance_key: 'nessus:gone', nessus_scan_id: 7 },
    });
    expect((await run(task)).outcome).toBe('deleted');
    expect(await run(moved)).toEqual({ outcome: 'later', reason: 'scanner nessus:gone is not configured' });
  });
});

describe('a scan may go', () => {
  const checkpoint = taskWith().checkpoint;
  const { export: _, ...withoutExport } = checkpoint ?? { generation: 1, instance_key: '' };
  it.each<[string, Partial<TaskRecord>, boolean, boolean]>([
    ['completed, results stored', {}, true, true],
    ['completed, no export noted', { checkpoint: withoutExport }, false, false],
    ['cancelled', { state: 'cancelled', checkpoint: withoutExport }, true, true],
    ['running', { state: 'running' }, false, false],
    [
      'failed, its run was aborted',
      { state: 'failed', checkpoint: { ...withoutExport, ended_as: 'aborted' } },
      true,
      true,
    ],
    // a retry would fetch its results
    ['failed, its run completed', { state: 'failed', checkpoint: withoutExport }, false, true],
    ['deleted before', { scanner_scan: 'deleted' }, false, false],
    ['left before', { scanner_scan: 'left' }, false, false],
    [
      'an import',
      {
        imported: {
          source: 'scanner',
          file_name: null,
          scanner: 'nessus:scanner1',
          scan_id: 7,
          history_id: null,
          run_uuid: null,
          followed: false,
        },
      },
      false,
      false,
    ],
  ])('%s', (_name, change, now, whenDue) => {
    expect([scanMayGo(taskWith(change), false), scanMayGo(taskWith(change), true)]).toEqual([now, whenDue]);
  });
});
