import { describe, expect, it } from '@jest/globals';
import {
  parseTarget,
  parseTargets,
  SCAN_TYPES,
  TASK_STATES,
  type Target,
  targetsOverlap,
} from '@scanmq/contract';
import fc from 'fast-check';
import { compactTargets } from './compact-targets.js';
import { createTaskTable, type TaskMatches, type TaskQuery, type TaskRow } from './task-table.js';

/** Few addresses, so that many targets overlap. */
const address4 = fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 255 }));
const text4 = address4.map(([net, host]) => `10.0.${net}.${host}`);
const target = fc.oneof(
  text4,
  fc
    .tuple(address4, fc.integer({ min: 20, max: 32 }))
    .map(([[net, host], prefix]) => `10.0.${net}.${host}/${prefix}`),
  fc.tuple(fc.nat(3), fc.nat(100), fc.nat(155)).map(([net, a, more]) => `10.0.${net}.${a}-${a + more}`),
  fc.constantFrom('0.0.0.0/0', '255.255.255.255', '::ffff:10.0.1.7', 'a.example', 'B.example.', 'c_1'),
  fc
    .tuple(fc.nat(0xff), fc.integer({ min: 118, max: 128 }))
    .map(([host, prefix]) => `2001:db8::${host.toString(16)}/${prefix}`),
  fc.nat(0xff).map((host) => `2001:db8::${host.toString(16)}`),
);
const task = fc.record({
  number: fc.nat(40),
  createdMs: fc.integer({ min: 1_000, max: 1_030 }),
  state: fc.constantFrom(...TASK_STATES),
  pool: fc.constantFrom('nessus', 'dmz'),
  principal: fc.constantFrom('alice', 'bob'),
  scanType: fc.constantFrom(...SCAN_TYPES),
  targets: fc.array(target, { maxLength: 5 }),
});
type Task = Omit<TaskRow, 'targets'> & { readonly targets: string };

const change = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('put' as const), task }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('remove' as const),
      numbers: fc.array(fc.nat(40), { maxLength: 5 }),
    }),
  },
);
const wanted = fc.record(
  {
    state: fc.constantFrom(...TASK_STATES),
    pool: fc.constantFrom('nessus', 'dmz', 'none'),
    principal: fc.constantFrom('alice', 'bob'),
    target,
    fromMs: fc.integer({ min: 999, max: 1_031 }),
    beforeMs: fc.integer({ min: 999, max: 1_031 }),
  },
  { requiredKeys: [] },
);

const idOf = (number: number): string => `ne_test_20261123_152923_${number.toString(16).padStart(8, '0')}`;

/** The obvious way: every task, every target, every time. */
function slowly(tasks: readonly Task[], query: TaskQuery): TaskMatches {
  const newestFirst = [...tasks].sort(
    (a, b) => b.createdMs - a.createdMs || (a.taskId < b.taskId ? 1 : a.taskId > b.taskId ? -1 : 0),
  );
  const matching = newestFirst.filter(
    (one) =>
      (query.state === undefined || one.state === query.state) &&
      (query.pool === undefined || one.pool === query.pool) &&
      (query.principal === undefined || one.principal === query.principal) &&
      (query.fromMs === undefined || one.createdMs >= query.fromMs) &&
      (query.beforeMs === undefined || one.createdMs < query.beforeMs) &&
      (query.target === undefined || anyOverlap(one.targets, query.target)),
  );
  const { olderThan } = query;
  const rest = matching.filter(
    (one) =>
      olderThan === undefined ||
      one.createdMs < olderThan.createdMs ||
      (one.createdMs === olderThan.createdMs && one.taskId < olderThan.taskId),
  );
  return {
    rows: rest.slice(0, query.limit).map(({ createdMs, taskId }) => ({ createdMs, taskId })),
    total: matching.length,
    more: rest.length > query.limit,
  };
}

function anyOverlap(targets: string, one: Target): boolean {
  return targets !== '' && parseTargets(targets).some((other) => targetsOverlap(other, one));
}

describe('the table of tasks', () => {
  it('answers every question as looking at each task would, on every page', () => {
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 60 }),
        wanted,
        fc.integer({ min: 1, max: 9 }),
        (changes, filters, limit) => {
          const table = createTaskTable();
          const tasks = new Map<string, Task>();
          for (const one of changes) {
            if (one.kind === 'remove') {
              const taskIds = new Set(one.numbers.map(idOf));
              table.remove(taskIds);
              for (const taskId of taskIds) tasks.delete(taskId);
              continue;
            }
            const { number, createdMs, targets, ...facts } = one.task;
            const taskId = idOf(number);
            const made = {
              ...facts,
              taskId,
              // a task is created once
              createdMs: tasks.get(taskId)?.createdMs ?? createdMs,
              targets: targets.join(','),
            };
            tasks.set(taskId, made);
            table.put({ ...made, targets: compactTargets(made.targets) });
          }
          const query: TaskQuery = {
            ...filters,
            target: filters.target === undefined ? undefined : parseTarget(filters.target),
            limit,
          };
          let olderThan: TaskQuery['olderThan'];
          for (let pages = 0; pages < 60; pages += 1) {
            const answer = table.query({ ...query, olderThan });
            expect(answer).toEqual(slowly([...tasks.values()], { ...query, olderThan }));
            olderThan = answer.rows.at(-1);
            if (!answer.more) break;
          }
          expect(table.size).toBe(tasks.size);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('goes on at the same place whatever comes before it', () => {
    const table = createTaskTable();
    const put = (number: number, createdMs: number): void =>
      table.put({
        taskId: idOf(number),
        createdMs,
        state: 'queued',
        pool: 'nessus',
        principal: 'local',
        scanType: 'untrusted',
        targets: compactTargets('192.0.2.1'),
      });
    for (let number = 0; number < 6; number += 1) put(number, 1_000 + number);
    const first = table.query({ limit: 2 });
    expect(first.rows.map((row) => row.taskId)).toEqual([idOf(5), idOf(4)]);
    put(9, 2_000);
    table.remove(new Set([idOf(4)]));
    const second = table.query({ limit: 2, olderThan: first.rows.at(-1) });
    expect(second.rows.map((row) => row.taskId)).toEqual([idOf(3), idOf(2)]);
    expect(second.total).toBe(6);
  });
});
