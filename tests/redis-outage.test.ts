import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type LocalRedis, startLocalRedis } from '@scanmq/local-redis';
import { createService, restClient, type TestService, until } from '@scanmq/testkit';
import { Redis } from 'ioredis';

let redis: LocalRedis;
let service: TestService;
beforeEach(async () => {
  redis = await startLocalRedis({});
  // a scan ends when the test says so
  service = await createService({ redisUrl: redis.url, scanners: [{ scanDurationMs: 600_000 }] });
});
afterEach(async () => {
  await service.close();
  await redis.stop();
});

/** The append-only file may lag behind; what is not in it yet is lost in a crash. */
async function untilWritten(): Promise<void> {
  const client = new Redis(redis.url);
  try {
    await until('the append-only file has everything', async () =>
      /^aof_buffer_length:0\r$/m.test(await client.info('persistence')),
    );
  } finally {
    client.disconnect();
  }
}

describe('a Redis that crashes while scans run', () => {
  it('costs no task and no second launch, and the gateway says meanwhile that it is away', async () => {
    const [{ url }] = await Promise.all([service.startGateway(), service.startWorker()]);
    const api = restClient(url);
    const tasks = await Promise.all(
      [1, 2, 3].map((n) => api.submit({ targets: `192.0.2.${n}`, name: `task ${n}` })),
    );
    for (const { task_id: id } of tasks)
      await until(`${id} runs`, async () => (await api.status(id)).scanner_status === 'running');
    await untilWritten();
    await redis.crash();
    const refused = await until('the gateway notices', async () => {
      const answer = await api.call('GET', `/api/v1/scans/${tasks[0]?.task_id}`);
      return answer.status === 503 ? answer : undefined;
    });
    expect(refused.json()).toMatchObject({ code: 'unavailable', status: 503 });
    expect((await api.call('GET', '/health/ready')).status).toBe(503);
    await redis.start();
    service.simulators[0]?.endScans('all', 'completed');
    const ended = await Promise.all(tasks.map((task) => api.ended(task.task_id)));
    expect(ended.map((task) => task.status)).toEqual(['completed', 'completed', 'completed']);
    expect(service.simulators[0]?.stats()).toMatchObject({ created: 3, launched: 3 });
  });
});
