import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { type SearchAnswer, type SearchParams, searchParamsSchema } from '@scanmq/contract';
import { createResultsStore, type ResultsStore, type SearchedTask } from './index.js';

const SCAN = { scanType: 'untrusted', targets: [], endedAs: 'completed' } as const;

let store: ResultsStore;
let root: string;
/** The newest first, as they are searched. */
let tasks: SearchedTask[];
beforeAll(async () => {
  store = await createResultsStore({ memoryMb: 128, threads: 2 });
  root = await mkdtemp(join(tmpdir(), 'scanmq-search-'));
  tasks = [
    await task('newest', '2026-11-03T00:00:00Z', { '10.0.0.1': ['1:4:CVE-2024-1'], '10.0.0.9': [] }),
    await task('middle', '2026-11-02T00:00:00Z', {
      '10.0.0.1': ['1:4:CVE-2024-1', '2:3:'],
      '10.0.1.5': ['3:2:'],
    }),
    { taskId: 'gone', completedAt: '2026-11-01T12:00:00Z', open: async () => undefined },
    await task('oldest', '2026-11-01T00:00:00Z', {
      '10.0.0.9': ['1:4:CVE-2024-1'],
      '10.0.1.5': ['3:2:', '4:0:'],
    }),
  ];
});
afterAll(async () => {
  await store.close();
  await rm(root, { recursive: true });
});
// a search that takes too long ends early: none does here, however busy the machine is
beforeEach(() => void jest.spyOn(Date, 'now').mockReturnValue(Date.now()));
afterEach(() => void jest.restoreAllMocks());

/** Findings as `plugin:severity:cve` by host. */
async function task(
  taskId: string,
  completedAt: string,
  hosts: Readonly<Record<string, readonly string[]>>,
): Promise<SearchedTask> {
  const directory = await mkdtemp(join(root, 'task-'));
  const reports = Object.entries(hosts).map(
    ([name, findings]) =>
      `<ReportHost name="${name}"><HostProperties/>${findings
        .map((finding) => {
          const [plugin, severity, cve] = finding.split(':');
          return `<ReportItem port="22" protocol="tcp" severity="${severity}" pluginID="${plugin}" pluginName="Plugin ${plugin} of OpenSSH" pluginFamily="General">${cve === '' ? '' : `<cve>${cve}</cve>`}<cvss3_base_score>${Number(severity) * 2}</cvss3_base_score><exploit_available>${plugin === '1'}</exploit_available></ReportItem>`;
        })
        .join('')}</ReportHost>`,
  );
  await writeFile(
    join(directory, 'scan_native.nessus'),
    `<NessusClientData_v2><Report name="r">${reports.join('')}</Report></NessusClientData_v2>`,
  );
  return {
    taskId,
    completedAt,
    open: () => store.open(directory, { defaultProfile: 'brief', extraMetadata: {}, scan: SCAN }),
  };
}

async function* all(): AsyncGenerator<SearchedTask> {
  yield* tasks;
}
const search = async (params: Record<string, unknown>): Promise<SearchAnswer> =>
  await store.search(all(), searchParamsSchema.parse(params) as SearchParams);
const shown = ({ findings }: SearchAnswer): string[] =>
  findings.map((one) => `${one.task_id} ${one.host} ${one.plugin_id}${one.is_latest ? '' : ' old'}`);

describe('a search over all tasks', () => {
  it('finds the newest first, the worst first within a task, and says what is old', async () => {
    const answer = await search({});
    expect(shown(answer)).toEqual([
      'newest 10.0.0.1 1',
      'middle 10.0.0.1 1 old',
      'middle 10.0.0.1 2 old',
      'middle 10.0.1.5 3',
      // the newest task lists this host without an answer, so the older one still speaks for it
      'oldest 10.0.0.9 1',
      'oldest 10.0.1.5 3 old',
      'oldest 10.0.1.5 4 old',
    ]);
    expect(answer).toMatchObject({ complete: true, next_cursor: null, tasks_searched: 3 });
    // the same finding has the same id in every task
    const ids = answer.findings.filter((one) => one.host === '10.0.0.1' && one.plugin_id === '1');
    expect(new Set(ids.map((one) => one.finding_id)).size).toBe(1);
  });

  it.each<[Record<string, unknown>, string[]]>([
    [{ cve: 'cve-2024-1', latest: true }, ['newest 10.0.0.1 1', 'oldest 10.0.0.9 1']],
    [{ host: '10.0.1.0/24', severity: '>=medium' }, ['middle 10.0.1.5 3', 'oldest 10.0.1.5 3 old']],
    [{ plugin_id: '2' }, ['middle 10.0.0.1 2 old']],
    [{ plugin_id: 4 }, ['oldest 10.0.1.5 4 old']],
    [
      { min_cvss: '8', exploit_available: 'true', latest: 'true' },
      ['newest 10.0.0.1 1', 'oldest 10.0.0.9 1'],
    ],
    [{ text: '4 of openssh' }, ['oldest 10.0.1.5 4 old']],
    [{ text: 'nothing has this' }, []],
  ])('with %j', async (params, expected) => {
    expect(shown(await search(params))).toEqual(expected);
  });

  it('goes on where it stopped, without leaving out or repeating anything', async () => {
    const whole = shown(await search({}));
    const paged: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await search({ limit: 2, ...(cursor === undefined ? {} : { cursor }) });
      paged.push(...shown(page));
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
    expect(paged).toEqual(whole);
  });

  it('counts each host with its newest task only', async () => {
    expect((await search({ group_by: 'plugin' })).groups).toEqual([
      {
        key: '1',
        name: 'Plugin 1 of OpenSSH',
        severity: '4',
        findings: 2,
        hosts: 2,
        host_examples: ['10.0.0.1', '10.0.0.9'],
      },
      {
        key: '3',
        name: 'Plugin 3 of OpenSSH',
        severity: '2',
        findings: 1,
        hosts: 1,
        host_examples: ['10.0.1.5'],
      },
    ]);
    expect((await search({ group_by: 'severity' })).groups).toEqual([
      { key: '4', name: 'critical', severity: '4', findings: 2, hosts: 2, host_examples: [] },
      { key: '2', name: 'medium', severity: '2', findings: 1, hosts: 1, host_examples: [] },
    ]);
    const first = await search({ group_by: 'host', limit: 1 });
    expect(first.groups).toHaveLength(1);
    const second = await search({ group_by: 'host', limit: 5, cursor: undefined });
    expect(second.groups.map(({ key }) => key).sort()).toEqual(['10.0.0.1', '10.0.0.9', '10.0.1.5']);
  });

  it('refuses cursors and severities that are none', async () => {
    for (const params of [{ cursor: 'x' }, { cursor: 'newest.bm9uc2Vuc2U' }, { severity: 'awful' }])
      await expect(search(params)).rejects.toMatchObject({ code: 'invalid_request' });
  });
});
