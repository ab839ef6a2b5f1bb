/** What can be asked of scanmq: the parameters of the tools and of the REST routes (contract sections 3 and 5). */
import { z } from 'zod';
import { instanceIdSchema, poolNameSchema, taskIdSchema } from './ids.js';
import { LIMITS } from './limits.js';
import { RESULT_PROFILES } from './results.js';
import { taskStateSchema } from './states.js';

export const SCAN_TYPES = ['untrusted', 'authenticated', 'authenticated_privileged'] as const;
export const scanTypeSchema = z.enum(SCAN_TYPES);
export type ScanType = z.infer<typeof scanTypeSchema>;

/** In the order in which they are served. */
export const PRIORITIES = ['high', 'normal', 'low'] as const;
export const prioritySchema = z.enum(PRIORITIES);
export type Priority = z.infer<typeof prioritySchema>;

/** The scanner's own words for how to become root (nessus-api.md section 4.2). */
export const ESCALATION_METHODS = [
  'Nothing',
  'sudo',
  'su',
  'su+sudo',
  'pbrun',
  'dzdo',
  '.k5login',
  "Cisco 'enable'",
  "Checkpoint Gaia 'expert'",
] as const;

const submissionFields = {
  targets: z
    .string()
    .min(1)
    .max(LIMITS.targetsChars)
    .meta({
      description:
        'What to scan: IP addresses, ranges, CIDR networks or host names, separated by commas, spaces or line ends',
      examples: ['192.0.2.10, 192.0.2.16/28, app.example.com'],
    }),
  name: z.string().trim().min(1).max(LIMITS.nameChars).meta({ description: 'Name of the scan, for people' }),
  description: z
    .string()
    .max(LIMITS.descriptionChars)
    .default('')
    .meta({ description: 'Why this scan is made' }),
  schema_profile: z
    .enum(RESULT_PROFILES)
    .default('brief')
    .meta({ description: 'Result profile that get_scan_results uses by default for this task' }),
  idempotency_key: z.string().min(1).max(LIMITS.idempotencyKeyChars).optional().meta({
    description:
      'Any text of yours: repeating the same request with the same key returns the first task instead of starting a second scan',
  }),
  scanner_pool: poolNameSchema
    .optional()
    .meta({ description: 'Pool of scanners to use; the default pool when left out' }),
  scanner_instance: instanceIdSchema
    .optional()
    .meta({ description: 'One instance of the pool to use, and no other' }),
  template: z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,63}$/)
    .default('basic')
    .meta({ description: 'Name of the Nessus scan template, for example basic, advanced or discovery' }),
  priority: prioritySchema.default('normal').meta({ description: 'Who waits for whom within the pool' }),
  timeout_hours: z
    .number()
    .positive()
    .max(24 * 24)
    .optional()
    .meta({
      description: 'The scan is stopped after this many hours; the limit of the service when left out',
    }),
} as const;

/** Names a stored credential. */
export const credentialNameSchema = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,128}$/, 'a name of letters, digits, dots, underscores and hyphens');

const secret = z.string().min(1).max(LIMITS.secretChars);
const username = z.string().min(1).max(LIMITS.usernameChars);

/** Fields that a scan with credentials takes. */
export const credentialFields = {
  ssh_username: username.optional().meta({ description: 'User name for SSH on the targets' }),
  ssh_password: secret.optional().meta({ description: 'Password for SSH; give this or ssh_private_key' }),
  ssh_private_key: secret.optional().meta({ description: 'Private key for SSH in PEM or OpenSSH form' }),
  ssh_key_passphrase: secret.optional().meta({ description: 'Passphrase of ssh_private_key' }),
  elevate_privileges_with: z
    .enum(ESCALATION_METHODS)
    .default('Nothing')
    .meta({ description: 'How to become a privileged user after the SSH login' }),
  escalation_account: z
    .string()
    .max(LIMITS.usernameChars)
    .optional()
    .meta({ description: 'Account to become; root when left out' }),
  escalation_password: z
    .string()
    .max(LIMITS.secretChars)
    .optional()
    .meta({ description: 'Password for the escalation; empty for password-less sudo' }),
  windows_username: username.optional().meta({ description: 'User name for Windows (SMB) on the targets' }),
  windows_password: secret.optional().meta({ description: 'Password for Windows' }),
  windows_domain: z.string().max(LIMITS.usernameChars).optional().meta({ description: 'Windows domain' }),
  credential_ref: credentialNameSchema
    .optional()
    .meta({ description: 'Name of a credential that an administrator stored, instead of the fields above' }),
} as const;

/** Fields of a request that hold secrets: sealed before they touch Redis, never logged. */
export const SECRET_FIELDS = [
  'ssh_password',
  'ssh_private_key',
  'ssh_key_passphrase',
  'escalation_password',
  'windows_password',
] as const satisfies readonly (keyof typeof credentialFields)[];

/** What only a submission over MCP takes beside the request itself. */
const planToken = {
  plan_token: z
    .string()
    .max(2_000)
    .optional()
    .meta({ description: 'From plan_scan, where confirmation is asked for' }),
} as const;

/** Parameters of `run_untrusted_scan`. */
export const untrustedScanRequestSchema = z.strictObject({ ...submissionFields, ...planToken });

export interface CredentialShape {
  scan_type: ScanType;
  ssh_username?: string | undefined;
  ssh_password?: string | undefined;
  ssh_private_key?: string | undefined;
  ssh_key_passphrase?: string | undefined;
  windows_username?: string | undefined;
  windows_password?: string | undefined;
  credential_ref?: string | undefined;
  elevate_privileges_with: string;
}

/** Adds an issue for each thing that does not fit together. */
export function checkCredentials(request: CredentialShape, ctx: z.RefinementCtx): void {
  const issue = (path: string, message: string): void => {
    ctx.addIssue({ code: 'custom', path: [path], message });
  };
  const ssh = request.ssh_username !== undefined;
  const windows = request.windows_username !== undefined;
  const any = ssh || windows || request.credential_ref !== undefined;
  if (!any) issue('ssh_username', 'expected credentials: ssh_username, windows_username or credential_ref');
  if (request.credential_ref !== undefined && (ssh || windows)) {
    issue('credential_ref', 'expected either credential_ref or credentials of its own, not both');
  }
  if (ssh && (request.ssh_password === undefined) === (request.ssh_private_key === undefined)) {
    issue('ssh_password', 'expected exactly one of ssh_password and ssh_private_key');
  }
  // a secret without its user would be dropped, and the scan would log in as nobody
  for (const field of ['ssh_password', 'ssh_private_key', 'ssh_key_passphrase'] as const)
    if (!ssh && request[field] !== undefined) issue(field, 'expected together with ssh_username');
  if (ssh && request.ssh_key_passphrase !== undefined && request.ssh_private_key === undefined)
    issue('ssh_key_passphrase', 'expected together with ssh_private_key');
  if (!windows && request.windows_password !== undefined)
    issue('windows_password', 'expected together with windows_username');
  if (windows && request.windows_password === undefined)
    issue('windows_password', 'expected with windows_username');
  if (
    request.scan_type === 'authenticated_privileged' &&
    ssh &&
    request.elevate_privileges_with === 'Nothing'
  ) {
    issue('elevate_privileges_with', 'expected a method such as sudo for an authenticated_privileged scan');
  }
}

const authenticatedObject = z.strictObject({
  ...submissionFields,
  scan_type: z
    .enum(['authenticated', 'authenticated_privileged'])
    .meta({ description: 'authenticated logs in; authenticated_privileged also becomes a privileged user' }),
  ...credentialFields,
  ...planToken,
});

/** Parameters of `run_authenticated_scan`. */
export const authenticatedScanRequestSchema = authenticatedObject.superRefine(checkCredentials);

/** Fields of a submission over REST, before the checks that need several of them. */
export const scanRequestObject = z.strictObject({
  ...submissionFields,
  scan_type: scanTypeSchema
    .default('untrusted')
    .meta({ description: 'Whether and how the scanner logs in to the targets' }),
  ...credentialFields,
  coalesce: z.boolean().optional().meta({
    description: 'Join an identical task of yours that still waits and was submitted with this too',
  }),
});

/** The checks of a submission that need several of its fields. */
export function checkScanRequest(
  request: Omit<z.infer<typeof scanRequestObject>, 'idempotency_key'>,
  ctx: z.RefinementCtx,
): void {
  if (request.scan_type !== 'untrusted') {
    checkCredentials(request, ctx);
    return;
  }
  for (const field of Object.keys(credentialFields) as (keyof typeof credentialFields)[]) {
    if (
      request[field] !== undefined &&
      !(field === 'elevate_privileges_with' && request[field] === 'Nothing')
    ) {
      ctx.addIssue({
        code: 'custom',
        path: [field],
        message: 'not used by an untrusted scan: set scan_type to authenticated',
      });
    }
  }
}

/** Body of `POST /api/v1/scans`: the parameters of both tools plus `scan_type`. */
export const scanRequestSchema = scanRequestObject.superRefine(checkScanRequest);
export type ScanRequest = z.infer<typeof scanRequestSchema>;

/** Credentials of one scan in the clear: only in memory, between the request and its seal, and in the worker. */
export type ScanCredentials = Pick<ScanRequest, keyof typeof credentialFields>;

/** Parameters of `plan_scan`: those of either tool. Credentials are looked at by nobody. */
export const planScanParamsSchema = z.strictObject({
  ...scanRequestObject.omit({ coalesce: true }).shape,
  name: submissionFields.name.default('plan'),
});

/** Splits a request into what may be kept and the credentials, which may only be sealed. */
export function splitCredentials(request: ScanRequest): {
  request: Omit<ScanRequest, keyof ScanCredentials>;
  credentials: ScanCredentials | undefined;
} {
  const kept: Record<string, unknown> = {};
  const credentials: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(request)) {
    if (value === undefined) continue;
    if (key in credentialFields) credentials[key] = value;
    else kept[key] = value;
  }
  return {
    request: kept as Omit<ScanRequest, keyof ScanCredentials>,
    credentials: request.scan_type === 'untrusted' ? undefined : (credentials as ScanCredentials),
  };
}

export const taskIdParamsSchema = z.strictObject({ task_id: taskIdSchema });

/** Query of `GET /api/v1/scans/{id}`. */
export const waitQuerySchema = z.strictObject({
  wait: z.coerce
    .number()
    .min(0)
    .max(LIMITS.waitSecondsMax)
    .default(0)
    .meta({
      description: 'Seconds to hold the answer at most, until the scan has ended',
      examples: [30],
    }),
});

/** Parameters of `wait_for_scan`. */
export const waitForScanParamsSchema = z.strictObject({
  task_id: taskIdSchema,
  timeout_seconds: z.number().min(0).max(LIMITS.mcpWaitSecondsMax).default(LIMITS.mcpWaitSecondsDefault),
});

/** Parameters of `get_finding`. */
export const getFindingParamsSchema = z
  .strictObject({
    task_id: taskIdSchema,
    finding_id: z.string().min(1).max(128).optional(),
    host: z.string().min(1).max(255).optional().meta({ description: 'Instead of finding_id' }),
    plugin_id: z.coerce
      .string()
      .regex(/^\d{1,16}$/, 'a plugin id: digits')
      .optional(),
    port: z.coerce.number().int().min(0).max(65_535).optional(),
    include_output: z.boolean().default(false),
  })
  .superRefine(({ finding_id, host, plugin_id }, ctx) => {
    if (finding_id === undefined && (host === undefined || plugin_id === undefined))
      ctx.addIssue({
        code: 'custom',
        path: ['finding_id'],
        message: 'expected finding_id, or host and plugin_id',
      });
  });

export const poolParamsSchema = z.strictObject({
  scanner_pool: poolNameSchema.optional().meta({ description: 'Pool; the default pool when left out' }),
});

export const listScannersParamsSchema = z.strictObject({
  scanner_pool: poolNameSchema.optional().meta({ description: 'Only this pool; all when left out' }),
});

/** A moment, or a day: its beginning in UTC. */
const timeFilterSchema = z.union(
  [z.iso.datetime({ offset: true }), z.iso.date()],
  'expected an ISO time such as 2026-11-23T15:29:23Z, or a day such as 2026-11-23',
);

/** Parameters of the tool `list_tasks`: the fewest that a model needs, since every one costs it tokens. */
export const listTasksToolSchema = z.strictObject({
  limit: z.coerce.number().int().min(1).max(LIMITS.listLimitMax).default(LIMITS.listLimitDefault),
  status_filter: taskStateSchema.optional().meta({ description: 'Only tasks in this state' }),
  scanner_pool: poolNameSchema.optional().meta({ description: 'Only tasks of this pool' }),
  target_filter: z.string().min(1).max(256).optional().meta({
    description: 'Only tasks whose targets overlap this address, range or network, or contain this host name',
  }),
  cursor: z.string().min(1).max(512).optional().meta({ description: 'next_cursor of the page before' }),
});

/** Query of `GET /api/v1/scans`. */
export const listTasksParamsSchema = z.strictObject({
  ...listTasksToolSchema.shape,
  principal: z
    .string()
    .min(1)
    .max(256)
    .optional()
    .meta({ description: 'Only tasks that this one submitted' }),
  created_after: timeFilterSchema
    .optional()
    .meta({ description: 'Only tasks created at this time or later' }),
  created_before: timeFilterSchema.optional().meta({ description: 'Only tasks created before this time' }),
});
export type ListTasksParams = z.infer<typeof listTasksToolSchema> &
  Partial<z.infer<typeof listTasksParamsSchema>>;

export const cancelParamsSchema = z.strictObject({
  task_id: taskIdSchema,
  reason: z.string().max(LIMITS.reasonChars).default('').meta({ description: 'Why, for the record' }),
  keep_results: z
    .boolean()
    .default(false)
    .meta({ description: 'Keep what the scanner has found until now, as partial results' }),
});

/** Body of `POST /api/v1/scans/{id}/cancel`. */
export const cancelBodySchema = cancelParamsSchema.omit({ task_id: true });

export const CONTROL_ACTIONS = ['pause', 'resume', 'retry'] as const;
/** Parameters of `control_scan`. */
export const controlParamsSchema = z.strictObject({
  task_id: taskIdSchema,
  action: z.enum(CONTROL_ACTIONS).meta({
    description:
      'pause: hold it, on the scanner too; resume: go on; retry: run a failed, timed out or cancelled task again',
  }),
});
export type ControlAction = (typeof CONTROL_ACTIONS)[number];

/** Body of `POST /api/v1/scanners/{instance}/enable`, `/disable`, `/drain`. */
export const operatorBodySchema = z.strictObject({
  reason: z.string().max(LIMITS.reasonChars).default('').meta({ description: 'Why, for the record' }),
});
