/** Every sample through the whole path: whole, and broken off. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Simulator } from '@scanmq/simulator';
import { createService, restClient, type TestService } from '@scanmq/testkit';

const FOLDERS = [
  fileURLToPath(new URL('./samples', import.meta.url)),
  process.env.SCANMQ_SAMPLES_DIR ?? '',
].filter(existsSync);
const samples = new Map(
  FOLDERS.flatMap((folder) =>
    readdirSync(folder)
      .filter((file) => /\.nessus(\.gz)?$/.test(file))
      .map(
        (
          file,
        ): [string, { bytes: Buffer; expected: { hosts: number; items: number; has_report: boolean } }] => {
          const bytes = readFileSync(join(folder, file));
          const name = file.replace(/\.gz$/, '');
          const expected = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8'));
          return [
            name,
            {
              bytes: file.endsWith('.gz') ? gunzipSync(bytes) : bytes,
              expected: expected[name] ?? expected[`${name}.gz`],
            },
          ];
        },
      ),
  ),
);

let service: TestService;
let api: ReturnType<typeof restClient>;
let simulator: Simulator;

beforeAll(async () => {
  service = await createService({
    redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '',
    scanners: [{ scanDurationMs: 50, startDelayMs: 10, exportDelayMs: 10, limit: 1 }],
    env: { POLL_INTERVAL_SECONDS: '0.02' },
  });
  const [first] = service.simulators;
  if (!first) throw new Error('no simulator');
  simulator = first;
  const [gateway] = await Promise.all([service.startGateway(), service.startWorker()]);
  api = restClient(gateway.url);
});
afterAll(async () => await service.close());

async function scanWith(bytes: Buffer, times: number) {
  for (let i = 0; i < times; i += 1) simulator.nextExport(bytes);
  const task = await api.submit({ targets: '192.0.2.1', name: 'replay' });
  return await api.ended(task.task_id);
}

describe.each([...samples].filter(([, { expected }]) => expected.has_report))(
  '%s',
  (_, { bytes, expected }) => {
    it('ends completed with its figures, and is given back byte for byte', async () => {
      const task = await scanWith(bytes, 1);
      expect(task).toMatchObject({
        status: 'completed',
        results_summary: { hosts_scanned: expected.hosts, total_findings: expected.items },
      });
      const response = await fetch(`${api.url}/api/v1/scans/${task.task_id}/export`);
      expect(Buffer.compare(Buffer.from(await response.arrayBuffer()), bytes)).toBe(0);
    });

    it('broken off, ends as a dead letter with invalid_export, its bytes kept', async () => {
      const half = bytes.subarray(0, Math.floor(bytes.length * 0.7));
      const task = await scanWith(half, 3);
      expect(task).toMatchObject({
        status: 'failed',
        error: { code: 'invalid_export', retryable: false },
        results_summary: null,
      });
      expect(
        Buffer.compare(readFileSync(join(service.dataDir, task.task_id, 'scan_native.nessus')), half),
      ).toBe(0);
      expect((await api.call('GET', `/api/v1/scans/${task.task_id}/findings`)).status).toBe(409);
    });
  },
);

it('a policy export ends as invalid_export, and says that it holds no results', async () => {
  const policy = Buffer.from(
    '<NessusClientData_v2><Policy><policyName>p</policyName></Policy></NessusClientData_v2>',
  );
  expect(await scanWith(policy, 3)).toMatchObject({
    status: 'failed',
    error: { code: 'invalid_export', message: expect.stringContaining('no Report') },
  });
});
