/**
 * The least that takes a scan and tells of one: node gateway.mjs REDIS_URL PREFIX. Bare Fastify; `POST /add` does
 * `queue.add` and nothing else, `GET /read/:key` reads one Redis hash.
 */
import { randomUUID } from 'node:crypto';
import { Queue } from 'bullmq';
import Fastify from 'fastify';
import { Redis } from 'ioredis';

const [, , redisUrl, prefix] = process.argv;
const redis = new Redis(redisUrl, { maxRetriesPerRequest: 1 });
const queue = new Queue('bare', { connection: redis, prefix });
const app = Fastify();
app.post('/add', async (request, reply) => {
  const job = await queue.add('scan', request.body, { jobId: randomUUID() });
  return reply.code(202).send({ task_id: job.id });
});
app.get('/read/:key', async (request) => await redis.hgetall(request.params.key));
process.stdout.write(`${await app.listen({ host: '127.0.0.1', port: 0 })}\n`);
