// One private Redis for the whole run; every test uses a prefix of its own. Imports the build, which `npm test` makes
// first: jest's module mapping does not reach this file.
export default async function globalSetup() {
  const { startLocalRedis } = await import('../packages/local-redis/dist/index.js');
  const redis = await startLocalRedis({});
  process.env.SCANMQ_TEST_REDIS_URL = redis.url;
  globalThis.scanmqTestRedis = redis;
}
