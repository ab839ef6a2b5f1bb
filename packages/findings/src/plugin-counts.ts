import type { FindingsEngine, Params } from './engine.js';
import type { PluginCount } from './render-input.js';

/**
 * Plugins by how bad and how frequent they are, the worst first.
 * @param from what to count, everything after `SELECT …`, with `f` for the table of findings; all of them when left out.
 */
export async function countPlugins(
  engine: Pick<FindingsEngine, 'rows'>,
  files: { readonly findings: string; readonly plugins: string },
  limit: number,
  from = { sql: 'FROM read_parquet($all_findings) f', params: { all_findings: files.findings } as Params },
): Promise<PluginCount[]> {
  const order = 'level DESC NULLS LAST, findings DESC, cvss_score DESC NULLS LAST, plugin_id';
  const rows = await engine.rows(
    `WITH found AS (
       SELECT f.plugin_id, f.plugin_ref, f.level, f.cvss_score, f.host_no ${from.sql}
     ), counted AS (
       SELECT plugin_id, min(plugin_ref) AS plugin_ref, max(level) AS level, max(cvss_score) AS cvss_score,
         count(*) AS findings, count(DISTINCT host_no) AS hosts
       FROM found GROUP BY plugin_id ORDER BY ${order} LIMIT ${Math.trunc(limit)}
     )
     SELECT c.*, p.plugin_name, p.plugin_family
     FROM counted c JOIN read_parquet($plugin_texts) p ON c.plugin_ref = p.plugin_ref ORDER BY ${order}`,
    { ...from.params, plugin_texts: files.plugins },
  );
  return rows.map((row) => ({
    plugin_id: String(row.plugin_id ?? ''),
    plugin_name: String(row.plugin_name ?? ''),
    plugin_family: String(row.plugin_family ?? ''),
    severity: String(row.level ?? 0),
    cvss_score: row.cvss_score === null ? null : Number(row.cvss_score),
    findings: Number(row.findings),
    hosts: Number(row.hosts),
  }));
}
