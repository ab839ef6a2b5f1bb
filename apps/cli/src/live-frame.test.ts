import { describe, expect, it } from '@jest/globals';
import type { ProgressEvent, ScanStatus } from '@scanmq/contract';
import { duration, type FrameInput, frameOf } from './live-frame.js';

const now = new Date('2026-01-01T12:00:00Z');
const status = {
  status: 'running',
  progress: 45,
  scanner_pool: 'nessus',
  scanner_instance: 'scanner1',
  scanner_status: 'running',
  queue_position: null,
  waiting_reason: null,
  created_at: '2026-01-01T11:50:00Z',
  started_at: '2026-01-01T11:57:55Z',
  completed_at: null,
  eta: '2026-01-01T12:04:00Z',
} as ScanStatus;
const hosts = (count: number): ProgressEvent => ({
  at: now.toISOString(),
  progress: 45,
  scanner_status: 'running',
  hosts_seen: count + 200,
  hosts_done: 200,
  hosts: Array.from({ length: count }, (_, index) => ({
    host: `192.0.2.${index}`,
    progress: 50,
    severity_breakdown: { critical: 1, high: 0, medium: 2, low: 0, info: 30 },
  })),
  hosts_omitted: 200,
});
const frame = (change: Partial<FrameInput> = {}): readonly string[] =>
  frameOf({
    status,
    progress: undefined,
    trouble: undefined,
    columns: 80,
    rows: 24,
    now,
    colored: false,
    ...change,
  });

describe('a frame of the live view', () => {
  it('tells how far the scan is, for how long it has run, and how long it is expected to go on', () => {
    expect(frame()).toEqual([
      '██████████████████░░░░░░░░░░░░░░░░░░░░░░  45 %  running (running) on nessus:sca…',
      'running for 2 min 5 s · about 4 min 0 s left',
    ]);
  });

  it('tells what a waiting one waits for', () => {
    const waiting: ScanStatus = {
      ...status,
      status: 'queued',
      progress: 0,
      started_at: null,
      eta: null,
      scanner_instance: null,
      queue_position: 3,
      waiting_reason: 'It waits for one of the 2 slots.',
    };
    expect(frame({ status: waiting, columns: 120 }).slice(-3)).toEqual([
      `${'░'.repeat(40)}   0 %  queued (number 3)`,
      'waiting for 10 min 0 s',
      'It waits for one of the 2 slots.',
    ]);
  });

  it.each([
    [24, 15],
    [10, 2],
    [5, 0],
  ])('on %i rows shows %i hosts, and how many more there are', (rows, shown) => {
    const lines = frame({ progress: hosts(20), rows });
    expect(lines.filter((line) => line.includes('192.0.2.'))).toHaveLength(shown);
    expect(lines.length).toBeLessThanOrEqual(Math.max(rows, 2));
    if (shown > 0) {
      expect(lines[2]).toMatch(/^ {2}192\.0\.2\.0 {1,2}████████░░░░░░░ {2}50 % {2}1 critical, 2 medium$/);
      expect(lines.at(-1)).toBe(`  and ${20 - shown + 200} more`);
    }
  });

  it('says how long a scan took that has ended, and that one takes longer than usual', () => {
    const ended: ScanStatus = { ...status, status: 'completed', completed_at: '2026-01-01T15:00:00Z' };
    expect(frame({ status: ended })[1]).toBe('took 3 h 2 min');
    expect(frame({ status: { ...status, eta: now.toISOString() } })[1]).toContain('longer than usual');
    expect(duration(4_400)).toBe('4 s');
  });
});
