// One private Redis for the whole run; every test uses a prefix of its own. Imports the build, which `npm test` makes
// first: jest's module mapping does not reach this file.
import { existsSync } from 'node:fs';

const BUILT = new URL('../packages/local-redis/dist/index.js', import.meta.url);

export default async function globalSetup() {
  if (!existsSync(BUILT)) throw new Error('Not built yet. Run: npm run setup');
  // the programs that tests start are those that were built last
  await import('../scripts/bundle.mjs');
  const { startLocalRedis } = await import(BUILT.href);
  const redis = await startLocalRedis();
  process.env.SCANMQ_TEST_REDIS_URL = redis.url;
  globalThis.scanmqTestRedis = redis;
}
