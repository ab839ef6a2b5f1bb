/** How far the results of a scan can be trusted: stored with them and returned wherever they are. */
import { z } from 'zod';
import { authenticationStatusSchema, severityBreakdownSchema } from './results.js';

/** Outcome of logging in to a host (nessus-api.md section 9.7). `unknown`: nothing in the export speaks of it. */
export const CREDENTIAL_OUTCOMES = ['success', 'partial', 'failed', 'none_provided', 'unknown'] as const;
export const credentialOutcomeSchema = z.enum(CREDENTIAL_OUTCOMES);
export type CredentialOutcome = z.infer<typeof credentialOutcomeSchema>;

/** Whether the login was allowed to look at everything. */
export const privilegeSchema = z.enum(['sufficient', 'insufficient', 'unknown']);
export type Privilege = z.infer<typeof privilegeSchema>;

/** One login service of a host. */
export const loginSchema = z.object({
  protocol: z.string().meta({ description: 'ssh, smb, snmp …, or the name of the service' }),
  outcome: z.enum(['success', 'partial', 'failed']),
  plugin_id: z.string().meta({ description: 'Plugin that shows it' }),
});
export type Login = z.infer<typeof loginSchema>;

/** The verdict on one host of an export. */
export const hostQualitySchema = z.object({
  host: z.string(),
  ip: z.string().nullable(),
  aliases: z.array(z.string()).meta({ description: 'Other names, as the scanner found them' }),
  operating_system: z.string().nullable(),
  started: z.string().nullable().meta({ description: "The scanner's own time, without a zone" }),
  ended: z.string().nullable(),
  findings: z.number().int(),
  alive: z.boolean().meta({ description: 'It answered something' }),
  incomplete: z.boolean().meta({ description: 'Its scan began and has no end' }),
  credentials: credentialOutcomeSchema,
  credentials_plugin: z
    .string()
    .nullable()
    .meta({ description: 'Plugin that shows the outcome of the login' }),
  logins: z.array(loginSchema),
  privilege: privilegeSchema,
  port_range: z.string().nullable().meta({ description: "Ports covered, in the scanner's words" }),
  plugin_set: z.string().nullable(),
});
export type HostQuality = z.infer<typeof hostQualitySchema>;

/** One host of `GET /api/v1/scans/{id}/hosts`. */
export const hostSchema = hostQualitySchema.extend({
  severities: severityBreakdownSchema.meta({ description: 'Its findings by severity' }),
  properties: z
    .array(z.object({ name: z.string(), value: z.string() }))
    .meta({ description: 'Everything that the export says of the host, in its order' }),
});

export const hostListSchema = z.object({
  hosts: z.array(hostSchema).meta({ description: 'Those with the worst findings first' }),
  total: z.number().int(),
  next_offset: z.number().int().nullable(),
  next_cursor: z.string().nullable(),
});

/** Why a result says less than it seems to; each stands for a sentence in `validation_warnings`. */
export const QUALITY_REASONS = [
  'nothing_scanned',
  'stopped_early',
  'hosts_silent',
  'hosts_incomplete',
  'targets_missing',
  'credentials_failed',
  'credentials_partial',
  'privilege_insufficient',
  'plugins_old',
  'text_repaired',
  'severity_unknown',
] as const;
export type QualityReason = (typeof QUALITY_REASONS)[number];

/** The verdict on a whole scan. */
export const qualitySchema = z.object({
  verdict: z.enum(['complete', 'limited', 'unusable']).meta({
    description:
      'complete: nothing speaks against it; limited: see reasons; unusable: nothing was scanned, so no finding means nothing',
  }),
  reasons: z.array(z.enum(QUALITY_REASONS)),
  stopped_early: z.boolean(),
  ended_as: z.string().meta({ description: "The scanner's own word for the end of the scan" }),
  hosts: z.object({
    listed: z.number().int(),
    alive: z.number().int(),
    incomplete: z.number().int(),
  }),
  targets_missing: z.object({
    count: z.number().int().meta({ description: 'Requested targets of which nothing came back' }),
    examples: z.array(z.string()),
  }),
  credentials: z.object({
    requested: z.boolean(),
    status: authenticationStatusSchema,
    hosts: z.object({
      success: z.number().int(),
      partial: z.number().int(),
      failed: z.number().int(),
      none_provided: z.number().int(),
      unknown: z.number().int(),
    }),
    by_protocol: z.record(
      z.string(),
      z.object({ success: z.number().int(), partial: z.number().int(), failed: z.number().int() }),
    ),
  }),
  privilege: z.object({
    sufficient: z.number().int(),
    insufficient: z.number().int(),
    unknown: z.number().int(),
  }),
  plugin_set: z.object({
    version: z.string().nullable(),
    age_days: z.number().nullable().meta({ description: 'Age of the plugins when the scan ended' }),
  }),
  port_ranges: z.array(z.string()).meta({ description: "Ports covered, in the scanner's words" }),
});
export type Quality = z.infer<typeof qualitySchema>;
