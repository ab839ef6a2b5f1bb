/** Who may do what: roles, permissions, and what narrows a single key. */
import { z } from 'zod';
import { poolNameSchema } from './ids.js';
import { LIMITS } from './limits.js';
import { cronMistake, isTimeZone } from './recurrence.js';
import { credentialNameSchema } from './requests.js';
import { targetScopeSchema } from './target-scope.js';

/** Each may what the one before may, and more. */
export const ROLES = ['viewer', 'operator', 'admin'] as const;
export const roleSchema = z.enum(ROLES);
export type Role = z.infer<typeof roleSchema>;

interface PermissionFacts {
  /** The least role that has it. */
  readonly from: Role;
  /** Shows or changes tasks of everybody at once: not for a key that was made to see its own tasks only. */
  readonly wholeService?: true;
}

/** Every permission, in the one table that says who has it. */
export const PERMISSIONS = {
  /** Tasks and their state, and what changes of them. */
  'scans:read': { from: 'viewer' },
  /** Findings, reports, exports, comparisons, the gate. */
  'results:read': { from: 'viewer' },
  'schedules:read': { from: 'viewer' },
  'dead-letters:read': { from: 'viewer' },
  /** Pools, scanners, queues. */
  'fleet:read': { from: 'viewer' },
  'metrics:read': { from: 'viewer' },
  'docs:read': { from: 'viewer' },
  'dashboard:read': { from: 'viewer', wholeService: true },

  'scans:submit': { from: 'operator' },
  /** Cancel, pause, resume, retry. */
  'scans:control': { from: 'operator' },
  'imports:write': { from: 'operator' },
  /** Scans of a scanner's own interface: among them are those of everybody's tasks. */
  'imports:from-scanner': { from: 'operator', wholeService: true },
  'schedules:change': { from: 'operator' },
  'dead-letters:change': { from: 'operator' },
  'webhooks:read': { from: 'operator' },
  'webhooks:change': { from: 'operator' },
  /** Names and facts of stored credentials, so that a scan can name one; secrets are shown to nobody. */
  'credentials:read': { from: 'operator' },
  /** Enable, disable, drain. */
  'scanners:operate': { from: 'operator', wholeService: true },
  'dashboard:change': { from: 'operator', wholeService: true },

  'credentials:manage': { from: 'admin' },
  'housekeeping:run': { from: 'admin' },
  'keys:manage': { from: 'admin' },
  'audit:read': { from: 'admin' },
} as const satisfies Record<string, PermissionFacts>;
export type Permission = keyof typeof PERMISSIONS;
export const PERMISSION_NAMES = Object.keys(PERMISSIONS) as [Permission, ...Permission[]];

/** Whose tasks somebody sees. */
export const TASK_SIGHTS = ['own', 'all'] as const;
export type TaskSight = (typeof TASK_SIGHTS)[number];

/** Where a key says nothing else (docs/decisions/0013). */
const SIGHT_OF_ROLE: Readonly<Record<Role, TaskSight>> = { viewer: 'all', operator: 'own', admin: 'all' };

const list = <T extends z.ZodType>(entry: T) =>
  z.array(entry).max(LIMITS.scopeEntries).nullable().default(null);

const windowSchema = z
  .strictObject({
    opens: z.string().max(LIMITS.cronChars),
    hours: z
      .number()
      .positive()
      .max(7 * 24),
    time_zone: z
      .string()
      .refine(isTimeZone, 'expected an IANA time zone, for example Europe/Berlin')
      .default('UTC'),
  })
  .superRefine(({ opens }, ctx) => {
    const mistake = cronMistake(opens);
    if (mistake !== undefined) ctx.addIssue({ code: 'custom', path: ['opens'], message: mistake });
  });

/** What narrows a key beyond its role. null = the key does not narrow it. */
export const keyScopesSchema = z.strictObject({
  tasks: z
    .enum(TASK_SIGHTS)
    .nullable()
    .default(null)
    .meta({ description: 'Whose tasks it sees; by its role when null' }),
  pools: list(poolNameSchema).meta({ description: 'Pools that it may scan with' }),
  targets: targetScopeSchema.nullable().default(null).meta({ description: 'What it may scan' }),
  credentials: list(credentialNameSchema).meta({
    description:
      'Stored credentials that its scans may name; with a list, none of its own may be brought along',
  }),
  templates: list(z.string().max(64)).meta({ description: 'Scan templates that it may use' }),
  windows: z
    .array(windowSchema)
    .min(1)
    .max(LIMITS.scopeWindows)
    .nullable()
    .default(null)
    .meta({ description: 'When it may submit: from each opening, for so many hours' }),
  requests_per_minute: z.number().int().min(1).max(10_000_000).nullable().default(null),
  scans_per_day: z.number().int().min(1).max(10_000_000).nullable().default(null),
});
export type KeyScopes = z.output<typeof keyScopesSchema>;

/** Scopes that narrow nothing. */
export const NO_SCOPES: KeyScopes = Object.freeze(keyScopesSchema.parse({}));

/** Whoever asks. */
export interface Principal {
  /** Of the key; `oidc:<subject>` with a token of the issuer. */
  readonly id: string;
  /** Owner of what it makes: keys of the same name are the same principal, so that a key can be replaced. */
  readonly name: string;
  readonly role: Role;
  readonly scopes: KeyScopes;
  readonly via: 'key' | 'oidc' | 'session' | 'local';
}

/** Everybody, as long as there are no keys: then the gateway binds to loopback only. */
export const LOCAL_PRINCIPAL: Principal = Object.freeze({
  id: 'local',
  name: 'local',
  role: 'admin',
  scopes: NO_SCOPES,
  via: 'local',
});

export function seesAllTasks({ role, scopes }: Pick<Principal, 'role' | 'scopes'>): boolean {
  return (scopes.tasks ?? SIGHT_OF_ROLE[role]) === 'all';
}

/** Whether a task, or anything else that has an owner, exists for this principal. */
export function seesTask(principal: Principal, task: { readonly principal: string }): boolean {
  return task.principal === principal.name || seesAllTasks(principal);
}

export function may(principal: Pick<Principal, 'role' | 'scopes'>, permission: Permission): boolean {
  const facts: PermissionFacts = PERMISSIONS[permission];
  return (
    ROLES.indexOf(principal.role) >= ROLES.indexOf(facts.from) &&
    (facts.wholeService !== true || principal.scopes.tasks !== 'own')
  );
}

/** Letters and digits of any script would look alike; a colon would look like a token of the issuer. */
export const keyNameSchema = z
  .string()
  .trim()
  .max(LIMITS.keyNameChars)
  .regex(/^[A-Za-z0-9][A-Za-z0-9 ._@/+-]*$/, 'expected letters, digits, spaces and . _ @ / + -')
  .refine((name) => name !== LOCAL_PRINCIPAL.name, `'local' is whoever asks while there are no keys`);

/** What makes a key. */
export const createKeySchema = z.strictObject({
  name: keyNameSchema,
  role: roleSchema,
  expires_at: z.iso.datetime({ offset: true }).nullable().default(null),
  scopes: keyScopesSchema.default(NO_SCOPES),
});
export type CreateKey = z.output<typeof createKeySchema>;

/** What is told of a key: never the key. */
export const apiKeyViewSchema = z.object({
  id: z.string(),
  prefix: z.string().meta({ description: 'How the key begins, to recognise it' }),
  name: z.string(),
  role: roleSchema,
  scopes: keyScopesSchema,
  state: z.enum(['valid', 'expired', 'revoked']),
  created_at: z.iso.datetime(),
  created_by: z.string(),
  expires_at: z.iso.datetime().nullable(),
  last_used_at: z.iso.datetime().nullable().meta({ description: 'To the minute' }),
  revoked_at: z.iso.datetime().nullable(),
});
export type ApiKeyView = z.infer<typeof apiKeyViewSchema>;

export const apiKeyListSchema = z.object({ keys: z.array(apiKeyViewSchema) });
/** The one answer that has the key itself. */
export const createdKeySchema = z.object({ key: z.string(), ...apiKeyViewSchema.shape });
export type CreatedKey = z.infer<typeof createdKeySchema>;
