/**
 * Answers of a scanner, decoded leniently: lists are `null` when empty, numbers are sometimes texts, switches sometimes
 * numbers, and parts may be missing, depending on end point and release (nessus-api.md section 0, rules 4 and 5).
 */
import { SEVERITY_NAMES, type SeverityName } from '@scanmq/contract';
import { hideValues } from '@scanmq/observability';
import { z } from 'zod';
import type { HostState } from '../scanner.js';

export const number = z.union([
  z.number(),
  z
    .string()
    .regex(/^-?\d+(\.\d+)?$/)
    .transform(Number),
]);
export const text = z.union([z.string(), z.number().transform(String)]);
const flag = z.union([
  z.boolean(),
  z.number().transform((n) => n !== 0),
  z.enum(['true', 'false', 'yes', 'no', '0', '1']).transform((w) => w === 'true' || w === 'yes' || w === '1'),
]);
export const orNull = <S extends z.ZodType>(schema: S) => schema.nullish().catch(null);
export const list = <S extends z.ZodType>(schema: S) =>
  z
    .array(schema)
    .nullish()
    .transform((items) => items ?? []);

export const loginSchema = z.object({ token: z.string().min(1) });

export const serverStatusSchema = z.object({
  status: z.string(),
  progress: orNull(number),
  detailed_status: orNull(z.object({ login_status: z.string().optional() })),
});

const features = z.object({ scan_api: flag.optional().catch(undefined) });

export const serverPropertiesSchema = z.object({
  nessus_type: orNull(z.string()),
  server_version: orNull(text),
  nessus_ui_version: orNull(text),
  loaded_plugin_set: orNull(text),
  plugin_set: orNull(text),
  features: orNull(features),
  license: orNull(
    z.object({
      type: orNull(z.string()),
      name: orNull(z.string()),
      ips: orNull(number),
      expiration_date: orNull(number),
      features: orNull(features),
    }),
  ),
  simulator: orNull(flag),
});
export type ServerProperties = z.output<typeof serverPropertiesSchema>;

export const scanListSchema = z.object({
  scans: list(
    z.object({
      id: number,
      name: text.catch(''),
      status: z.string().catch('empty'),
      last_modification_date: number.catch(0),
    }),
  ),
});

const host = z.object({
  hostname: text.catch(''),
  critical: orNull(number),
  high: orNull(number),
  medium: orNull(number),
  low: orNull(number),
  info: orNull(number),
  scanprogresscurrent: orNull(number),
  scanprogresstotal: orNull(number),
  progress: orNull(z.string()),
});

export const scanDetailsSchema = z.object({
  info: orNull(z.object({ name: orNull(text), status: orNull(z.string()) })),
  hosts: list(host),
  history: list(z.object({ history_id: number, uuid: text.catch(''), status: z.string().catch('empty') })),
  notes: z.unknown(),
});
export type ScanDetails = z.output<typeof scanDetailsSchema>;

export const createdSchema = z.object({ scan: z.object({ id: number }) });
export const launchedSchema = z.object({ scan_uuid: z.string().min(1) });
export const exportRequestedSchema = z.object({
  file: z.union([z.number(), z.string().min(1)]).transform(String),
});
export const exportStatusSchema = z.object({ status: z.string() });
export const templatesSchema = z.object({
  templates: list(z.object({ name: z.string(), uuid: z.string() })),
});
export const foldersSchema = z.object({
  folders: list(z.object({ id: number, name: text, type: z.string().catch('') })),
});
export const folderCreatedSchema = z.object({ id: number });
export const uploadedSchema = z.object({ fileuploaded: z.string().min(1) });

/** JSON, or undefined: bodies are sometimes HTML or empty where JSON is expected. */
export function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/**
 * The scanner's own words of an error, one clean line of at most 200 characters.
 * @param secrets taken out of it before it is cut: a scanner may repeat what it was sent.
 */
export function errorText(body: string, secrets: readonly string[]): string {
  const parsed = z.object({ error: z.string() }).safeParse(parseJson(body));
  // only texts in the documented form: a proxy's HTML page says nothing, and may say too much
  return parsed.success
    ? hideValues(parsed.data.error, secrets)
        .replace(/\p{C}+/gu, ' ')
        .trim()
        .slice(0, 200)
    : '';
}

/**
 * Percent over all hosts listed: Σ current / Σ total (nessus-api.md section 5). Totals are not always 100; either may be missing.
 * @returns 0–100.
 */
export function progressPercent(details: ScanDetails): number {
  let current = 0;
  let total = 0;
  for (const host of details.hosts) {
    const checks = checksOf(host);
    current += checks.current;
    total += checks.total;
  }
  return total === 0 ? 0 : (current / total) * 100;
}

/** How far a host is, on the scale that the scanner chose for it; 0 of 0 where it does not say. */
function checksOf({ scanprogresscurrent, scanprogresstotal, progress }: ScanDetails['hosts'][number]): {
  readonly current: number;
  readonly total: number;
} {
  const [, a, b] = /^(\d+)-(\d+)\//.exec(progress ?? '') ?? [];
  const total = Math.max(0, scanprogresstotal ?? (b === undefined ? 0 : Number(b)));
  const current = scanprogresscurrent ?? (a === undefined ? 0 : Number(a));
  return { current: Math.min(total, Math.max(0, current)), total };
}

/** Each host by itself, in the order of the scanner. */
export function hostStates(details: ScanDetails): readonly HostState[] {
  return details.hosts.map((host) => {
    const { current, total } = checksOf(host);
    return {
      name: host.hostname,
      progressPercent: total === 0 ? 0 : (current / total) * 100,
      found: foundOn(host),
    };
  });
}

function foundOn(host: ScanDetails['hosts'][number]): HostState['found'] {
  const found: Partial<Record<SeverityName, number>> = {};
  for (const name of SEVERITY_NAMES) {
    const count = host[name];
    if (count === null || count === undefined) return null;
    found[name] = Math.max(0, Math.floor(count));
  }
  return { critical: 0, high: 0, medium: 0, low: 0, info: 0, ...found };
}

/** Warnings of the scanner about a scan; its form is not settled (nessus-api.md section 4.5). */
export function noteTexts(notes: unknown): readonly string[] {
  if (!Array.isArray(notes)) return [];
  return notes.flatMap((note: unknown) => {
    const parsed = z.object({ title: z.string().optional(), message: z.string().optional() }).safeParse(note);
    if (!parsed.success) return typeof note === 'string' ? [note] : [];
    return [
      [parsed.data.title, parsed.data.message].filter((part) => part !== undefined && part !== '').join(': '),
    ];
  });
}
