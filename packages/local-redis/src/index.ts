export { freePort } from './free-port.js';
export { type LocalRedis, type LocalRedisOptions, startLocalRedis } from './local-redis.js';
export {
  type LocalCluster,
  type LocalSentinels,
  type SentinelOptions,
  startLocalCluster,
  startLocalSentinels,
} from './several.js';
