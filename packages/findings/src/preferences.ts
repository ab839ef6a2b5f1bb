/** Facts about a scan from the policy block of its export: a small tree, read with xml2js (nessus-api.md section 9.1). */
import { parseStringPromise } from 'xml2js';
import { z } from 'zod';

export interface ScanPreferences {
  readonly policyName: string | undefined;
  /** Server preferences by name, without the list of all plugins. */
  readonly server: ReadonlyMap<string, string>;
  /** `enabled`, `disabled`, `mixed` or `partial` by plugin family; empty where the export does not say. */
  readonly families: ReadonlyMap<string, string>;
  /** Plugins enabled one by one. */
  readonly enabledPlugins: ReadonlySet<string>;
}

/** Real policy blocks are up to 2 MB, most of it the list of all plugins. */
const POLICY_CHARS = 8 * 1024 * 1024;
/** Longer values (plugin_set: up to 1.7 million characters) are cut out before parsing. */
const VALUE_CHARS = 16 * 1024;

const treeSchema = z.object({
  Policy: z.object({
    policyName: z.array(z.string()).optional(),
    Preferences: z
      .array(
        z.object({
          ServerPreferences: z
            .array(
              z.union([
                z.string(),
                z.object({
                  preference: z.array(
                    z.object({ name: z.array(z.string()), value: z.array(z.string()).optional() }),
                  ),
                }),
              ]),
            )
            .optional(),
        }),
      )
      .optional(),
    FamilySelection: z
      .array(
        z.union([
          z.string(),
          z.object({
            FamilyItem: z
              .array(z.object({ FamilyName: z.array(z.string()), Status: z.array(z.string()) }))
              .optional(),
          }),
        ]),
      )
      .optional(),
    IndividualPluginSelection: z
      .array(
        z.union([
          z.string(),
          z.object({
            PluginItem: z
              .array(z.object({ PluginId: z.array(z.string()), Status: z.array(z.string()) }))
              .optional(),
          }),
        ]),
      )
      .optional(),
  }),
});

/**
 * Reads the policy block out of the beginning of an export.
 * @param beginning the first few megabytes, as text.
 * @returns undefined when there is none, or it is not as expected: these facts are useful, never needed.
 */
export async function readPreferences(beginning: string): Promise<ScanPreferences | undefined> {
  const from = beginning.search(/<Policy[\s>]/);
  const to = beginning.indexOf('</Policy>', from);
  if (from < 0 || to < 0 || to - from > POLICY_CHARS) return undefined;
  const policy = withoutLongValues(beginning.slice(from, to + '</Policy>'.length));
  try {
    const parsed = treeSchema.safeParse(await parseStringPromise(policy, { async: true }));
    if (!parsed.success) return undefined;
    const {
      policyName,
      Preferences: preferences,
      FamilySelection: selection,
      IndividualPluginSelection: individual,
    } = parsed.data.Policy;
    const server = new Map<string, string>();
    for (const group of preferences?.[0]?.ServerPreferences ?? []) {
      if (typeof group === 'string') continue;
      for (const { name, value } of group.preference) server.set(name[0] ?? '', value?.[0] ?? '');
    }
    const families = new Map<string, string>();
    for (const group of selection ?? []) {
      if (typeof group === 'string') continue;
      for (const { FamilyName: name, Status: status } of group.FamilyItem ?? [])
        families.set(name[0] ?? '', (status[0] ?? '').toLowerCase());
    }
    const enabledPlugins = new Set<string>();
    for (const group of individual ?? []) {
      if (typeof group === 'string') continue;
      for (const { PluginId: id, Status: status } of group.PluginItem ?? [])
        if (status[0]?.toLowerCase() === 'enabled') enabledPlugins.add(id[0] ?? '');
    }
    return { policyName: policyName?.[0], server, families, enabledPlugins };
  } catch {
    return undefined;
  }
}

function withoutLongValues(policy: string): string {
  return policy.replace(/<value>([^<]*)<\/value>/g, (whole, text: string) =>
    text.length > VALUE_CHARS ? '<value></value>' : whole,
  );
}
