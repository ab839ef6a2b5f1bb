/** Several private servers that belong together: a master with replicas and Sentinels, or a Cluster. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ScanmqError } from '@scanmq/contract';
import { Redis } from 'ioredis';
import { freePort } from './free-port.js';
import { type LocalRedis, startLocalRedis } from './local-redis.js';
import { type RunningRedis, runSentinel } from './run-redis.js';

export interface LocalSentinels {
  /** The data nodes, the first master first. */
  readonly servers: readonly LocalRedis[];
  /** Settings of scanmq for them. */
  readonly env: Readonly<Record<'REDIS_SENTINELS' | 'REDIS_SENTINEL_NAME', string>>;
  /** The data node that the Sentinels name now. */
  master(): Promise<LocalRedis>;
  /** Data nodes that follow the master now and have what it has, as it says itself. */
  replicas(): Promise<number>;
  stop(): Promise<void>;
}

export interface LocalCluster {
  readonly servers: readonly LocalRedis[];
  readonly env: Readonly<Record<'REDIS_CLUSTER_NODES', string>>;
  stop(): Promise<void>;
}

export interface SentinelOptions {
  /** Data nodes, and as many Sentinels. */
  readonly nodes?: number;
  /** A master that is silent for so long is replaced. */
  readonly downAfterMs?: number;
}

const NAME = 'scanmq';
const SLOTS = 16_384;
const READY_MS = 20_000;
const LOOK_MS = 50;

/**
 * Starts a master, its replicas and as many Sentinels. The master takes writes only while a replica follows it.
 * @throws as `startLocalRedis`; ScanmqError `unavailable` when they do not come together.
 */
export async function startLocalSentinels(options: SentinelOptions = {}): Promise<LocalSentinels> {
  const { nodes = 3, downAfterMs = 1_000 } = options;
  const directory = await mkdtemp(join(tmpdir(), 'scanmq-sentinels-'));
  const servers: LocalRedis[] = [];
  const sentinels: { readonly port: number; readonly running: RunningRedis }[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(sentinels.map(({ running }) => running.end()));
    await Promise.all(servers.map((server) => server.stop()));
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const settings = { 'min-replicas-to-write': '1', 'repl-diskless-sync-delay': '0' };
    const first = await startLocalRedis({ settings });
    servers.push(first);
    while (servers.length < nodes)
      servers.push(
        await startLocalRedis({ settings: { ...settings, replicaof: ['127.0.0.1', String(first.port)] } }),
      );
    for (let index = 0; index < nodes; index += 1) {
      const port = await freePort();
      const file = join(directory, `sentinel-${index}.conf`);
      await writeFile(
        file,
        `${[
          `port ${port}`,
          'bind 127.0.0.1',
          `dir ${directory}`,
          `logfile ${join(directory, `sentinel-${index}.log`)}`,
          `sentinel monitor ${NAME} 127.0.0.1 ${first.port} ${Math.floor(nodes / 2) + 1}`,
          `sentinel down-after-milliseconds ${NAME} ${downAfterMs}`,
          `sentinel failover-timeout ${NAME} ${Math.max(5_000, 5 * downAfterMs)}`,
        ].join('\n')}\n`,
      );
      sentinels.push({ port, running: await runSentinel(port, directory, file) });
    }
    await untilTrue('the replicas follow', async () => {
      return (await replicasOf(first)) === nodes - 1;
    });
    for (const { port } of sentinels)
      await untilTrue('the Sentinels know each other', async () => {
        const facts = await ask(port, (redis) => redis.call('SENTINEL', 'MASTER', NAME));
        const value = (name: string): number =>
          Number(Array.isArray(facts) ? facts[facts.indexOf(name) + 1] : Number.NaN);
        return value('num-other-sentinels') === nodes - 1 && value('num-slaves') === nodes - 1;
      });
  } catch (error) {
    await stop();
    throw error;
  }

  async function master(): Promise<LocalRedis> {
    const votes = new Map<number, number>();
    for (const { port } of sentinels) {
      const address = await ask(port, (redis) => redis.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME));
      const named = Number(Array.isArray(address) ? address[1] : Number.NaN);
      votes.set(named, (votes.get(named) ?? 0) + 1);
    }
    const [port] = [...votes].sort(([, a], [, b]) => b - a)[0] ?? [];
    const found = servers.find((server) => server.port === port);
    if (!found) throw new ScanmqError('unavailable', 'The Sentinels name no master of ours.');
    return found;
  }

  return {
    servers,
    env: {
      REDIS_SENTINELS: sentinels.map(({ port }) => `127.0.0.1:${port}`).join(','),
      REDIS_SENTINEL_NAME: NAME,
    },
    master,
    replicas: async () => await replicasOf(await master()),
    stop,
  };
}

/** Starts a Cluster of masters, without replicas. Throws as `startLocalSentinels`. */
export async function startLocalCluster({
  nodes = 3,
}: {
  readonly nodes?: number;
} = {}): Promise<LocalCluster> {
  const servers: LocalRedis[] = [];
  const busPorts: number[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  try {
    for (let index = 0; index < nodes; index += 1) {
      const busPort = await freePort();
      busPorts.push(busPort);
      servers.push(
        await startLocalRedis({ settings: { 'cluster-enabled': 'yes', 'cluster-port': String(busPort) } }),
      );
    }
    for (const [index, { port }] of servers.entries()) {
      const from = Math.floor((index * SLOTS) / nodes);
      const to = Math.floor(((index + 1) * SLOTS) / nodes) - 1;
      await ask(port, (redis) => redis.call('CLUSTER', 'ADDSLOTSRANGE', from, to));
      // one port does not follow from the other here, so both are said
      for (const [number, other] of servers.slice(0, index).entries())
        await ask(port, (redis) =>
          redis.call('CLUSTER', 'MEET', '127.0.0.1', other.port, busPorts[number] ?? 0),
        );
    }
    for (const { port } of servers)
      await untilTrue('the nodes of the Cluster know each other', async () => {
        const info = await ask(port, (redis) => redis.cluster('INFO'));
        return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${nodes}`);
      });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    servers,
    env: { REDIS_CLUSTER_NODES: servers.map(({ port }) => `127.0.0.1:${port}`).join(',') },
    stop,
  };
}

async function replicasOf({ port }: LocalRedis): Promise<number> {
  const info = await ask(port, (redis) => redis.info('replication'));
  return info.match(/^slave\d+:.*state=online/gm)?.length ?? 0;
}

/** Asks one server on a connection of its own. */
async function ask<T>(port: number, question: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis({ host: '127.0.0.1', port, maxRetriesPerRequest: 1 });
  redis.on('error', () => undefined);
  try {
    return await question(redis);
  } finally {
    redis.disconnect();
  }
}

async function untilTrue(what: string, look: () => Promise<boolean>): Promise<void> {
  const giveUpAt = Date.now() + READY_MS;
  for (;;) {
    if (await look().catch(() => false)) return;
    if (Date.now() > giveUpAt)
      throw new ScanmqError('unavailable', `Not within ${READY_MS / 1_000} s: ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
