import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type LocalRedis, startLocalRedis } from '@scanmq/local-redis';
import { createService, restClient, type TestService, until } from '@scanmq/testkit';

let redis: LocalRedis;
let service: TestService;
beforeEach(async () => {
  redis = await startLocalRedis({});
  service = await createService({ redisUrl: redis.url, scanners: [{ scanDurationMs: 2_000 }] });
});
afterEach(async () => {
  await service.close();
  await redis.stop();
});

describe('a Redis that crashes while scans run', () => {
  it('costs no task and no second launch, and the gateway says meanwhile that it is away', async () => {
    const { url } = await service.startGateway();
    const api = restClient(url);
    await service.startWorker();
    const tasks = await Promise.all(
      [1, 2, 3].map((n) => api.submit({ targets: `192.0.2.${n}`, name: `task ${n}` })),
    );
    await until('all scans run', () => service.simulators[0]?.stats().active_now === 3);
    // longer than the second that the append-only file may lag behind
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await redis.crash();
    const refused = await until('the gateway notices', async () => {
      const answer = await api.call('GET', `/api/v1/scans/${tasks[0]?.task_id}`);
      return answer.status === 503 ? answer : undefined;
    });
    expect(refused.json()).toMatchObject({ code: 'unavailable', status: 503 });
    expect((await api.call('GET', '/health/ready')).status).toBe(503);
    await redis.start();
    const ended = await Promise.all(tasks.map((task) => api.ended(task.task_id, 60_000)));
    expect(ended.map((task) => task.status)).toEqual(['completed', 'completed', 'completed']);
    expect(service.simulators[0]?.stats()).toMatchObject({ created: 3, launched: 3 });
  }, 90_000);
});
