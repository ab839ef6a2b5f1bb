/**
 * `scanmq keys …`: makes and revokes keys where they are kept, Redis or API_KEYS_FILE, with the settings of the gateway.
 * Not over REST: the first key has to come from somewhere, and whoever has these settings could write it there anyway.
 */
import { userInfo } from 'node:os';
import { type Access, openAccess } from '@scanmq/access';
import { readSettings } from '@scanmq/config';
import {
  apiKeyListSchema,
  type CreatedKey,
  createKeySchema,
  newTraceId,
  parseOrThrow,
  type Role,
  ScanmqError,
  type TaskSight,
  toScanmqError,
} from '@scanmq/contract';
import { EXIT } from '../exit-codes.js';
import type { ProgramIo } from '../program-io.js';
import { keysTable } from '../tables.js';
import { withRedis } from '../with-redis.js';

const REDIS_WAIT_MS = 10_000;
const DAY_MS = 86_400_000;

interface Output {
  readonly json?: boolean;
}

export interface CreateKeyOptions extends Output {
  readonly name: string;
  readonly role: Role;
  readonly expires?: string;
  readonly tasks?: TaskSight;
  readonly pools?: string;
  readonly targets?: string;
  readonly denyTargets?: string;
  readonly maxHosts?: number;
  readonly credentials?: string;
  readonly templates?: string;
  readonly window?: readonly string[];
  readonly requestsPerMinute?: number;
  readonly scansPerDay?: number;
}

/** `scanmq keys create`. */
export async function createApiKey(io: ProgramIo, options: CreateKeyOptions): Promise<number> {
  const wanted = parseOrThrow(
    createKeySchema,
    {
      name: options.name,
      role: options.role,
      expires_at: expiryOf(options.expires, new Date()),
      scopes: {
        tasks: options.tasks ?? null,
        pools: listOf(options.pools),
        targets: targetsOf(options),
        credentials: listOf(options.credentials),
        templates: listOf(options.templates),
        windows: options.window?.map(windowOf) ?? null,
        requests_per_minute: options.requestsPerMinute ?? null,
        scans_per_day: options.scansPerDay ?? null,
      },
    },
    'key',
  );
  const made = await changing(io, 'keys create', wanted.name, (access, by) => access.keys.create(wanted, by));
  io.stdout.write(options.json ? `${JSON.stringify(made)}\n` : told(made));
  return EXIT.passed;
}

/** `scanmq keys list`. */
export async function listApiKeys(io: ProgramIo, options: Output): Promise<number> {
  const keys = await withAccess(io, async (access) => [...(await access.keys.list())]);
  const answer = apiKeyListSchema.parse({ keys });
  const text = keys.length === 0 ? 'There is none; scanmq keys create makes one.' : keysTable(keys);
  io.stdout.write(options.json ? `${JSON.stringify(answer)}\n` : `${text}\n`);
  return EXIT.passed;
}

/** `scanmq keys revoke`. */
export async function revokeApiKey(io: ProgramIo, key: string, options: Output): Promise<number> {
  const { id } = await withAccess(io, (access) => access.keys.find(key));
  const revoked = await changing(io, 'keys revoke', id, (access) => access.keys.revoke(id));
  io.stdout.write(
    options.json
      ? `${JSON.stringify(revoked)}\n`
      : `The key ${revoked.prefix} (${revoked.name}) is revoked.\n`,
  );
  return EXIT.passed;
}

async function withAccess<T>(io: ProgramIo, act: (access: Access) => Promise<T>): Promise<T> {
  const settings = readSettings(io.env);
  return await withRedis(settings.redis, REDIS_WAIT_MS, async (redis) => {
    const access = await openAccess({
      settings,
      redis,
      listening: false,
      onProblem: (what) => io.stderr.write(`scanmq: ${what}\n`),
    });
    try {
      return await act(access);
    } finally {
      await access.close();
    }
  });
}

/** What is changed here stands in the audit log as what is changed over the gateway does: before it is done. */
async function changing<T>(
  io: ProgramIo,
  action: string,
  object: string,
  act: (access: Access, by: string) => Promise<T>,
): Promise<T> {
  return await withAccess(io, async (access) => {
    const by = `${userInfo().username} (scanmq ${action})`;
    const entry = { action: `scanmq ${action}`, object, from: 'command', client: by, traceId: newTraceId() };
    await access.audit.write({ ...entry, decision: 'allowed' });
    try {
      return await act(access, by);
    } catch (thrown) {
      const { code, message } = toScanmqError(thrown);
      await access.audit.write({ ...entry, decision: 'refused', code, reason: message });
      throw thrown;
    }
  });
}

function told(made: CreatedKey): string {
  const until = made.expires_at === null ? 'It does not expire.' : `It expires at ${made.expires_at}.`;
  return `${made.key}\n\nThis is the key of ${made.name} (${made.role}), shown this once. ${until}\nSend it as Authorization: Bearer <key>, or set SCANMQ_API_KEY. To revoke it: scanmq keys revoke ${made.id}\n`;
}

function targetsOf({ targets, denyTargets, maxHosts }: CreateKeyOptions): object | null {
  if (targets === undefined && denyTargets === undefined && maxHosts === undefined) return null;
  return { allow: listOf(targets), deny: listOf(denyTargets) ?? [], max_hosts: maxHosts ?? null };
}

/** An empty text is an empty list, which allows nothing. */
function listOf(text: string | undefined): readonly string[] | null {
  return text === undefined ? null : text.split(/[\s,]+/).filter((part) => part !== '');
}

/** A number of days, or a day or moment. */
function expiryOf(text: string | undefined, now: Date): string | null {
  if (text === undefined) return null;
  const [, days] = /^(\d{1,5})d?$/.exec(text.trim()) ?? [];
  const at = days === undefined ? new Date(text) : new Date(now.getTime() + Number(days) * DAY_MS);
  if (!Number.isNaN(at.getTime())) return at.toISOString();
  throw new ScanmqError(
    'invalid_request',
    `'${text.slice(0, 80)}' is no time: expected days, for example 90d, or a day such as 2027-01-31.`,
  );
}

/** `<cron>; <hours>; <time zone>` */
function windowOf(text: string): object {
  const [opens = '', hours = '', zone] = text.split(';').map((part) => part.trim());
  return { opens, hours: Number(hours), ...(zone === undefined || zone === '' ? {} : { time_zone: zone }) };
}
