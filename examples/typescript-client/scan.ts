/**
 * Scans hosts twice and tells what changed, with a client whose types come from the OpenAPI document alone:
 *
 *     npm run generate && npm run check
 *     node scan.js http://127.0.0.1:8835 192.0.2.10
 */
import createClient from 'openapi-fetch';
import type { components, paths } from './scanmq.js';

type Scan = components['schemas']['ScanStatus'];
type Problem = components['schemas']['Problem'];

const [url = 'http://127.0.0.1:8835', targets = '192.0.2.10'] = process.argv.slice(2);
const key = process.env.SCANMQ_API_KEY;
// findings and comparisons come in other forms too: here all is JSON
const api = createClient<paths, 'application/json' | 'application/problem+json'>({
  baseUrl: url,
  ...(key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } }),
});

/** An error of the service, with the code to tell errors apart by. */
class Refused extends Error {
  readonly code: Problem['code'];

  constructor(problem: Problem) {
    super(problem.detail);
    this.code = problem.code;
  }
}

/** What was answered. @throws Refused */
function answered<T>({ data, error }: { data?: T | undefined; error?: Problem | undefined }): T {
  if (error !== undefined) throw new Refused(error);
  if (data === undefined) throw new Error('The answer was empty.');
  return data;
}

async function submit(name: string): Promise<string> {
  const { task_id } = answered(
    await api.POST('/api/v1/scans', {
      params: { header: { 'idempotency-key': crypto.randomUUID() } },
      body: { targets, name },
    }),
  );
  return task_id;
}

async function ended(id: string): Promise<Scan> {
  for (;;) {
    const scan = answered(
      await api.GET('/api/v1/scans/{id}', { params: { path: { id }, query: { wait: 30 } } }),
    );
    if (scan.status !== 'queued' && scan.status !== 'running') return scan;
  }
}

function tell(what: string, facts: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify({ what, ...facts })}\n`);
}

const base = await ended(await submit('before'));
const head = await ended(await submit('after'));
tell('scanned', { status: head.status, findings: head.results_summary?.total_findings });

const results = answered(
  await api.GET('/api/v1/scans/{id}/findings', {
    params: {
      path: { id: head.task_id },
      query: { profile: 'minimal', sort: '-severity', page_size: 10, filters: '{"severity":">=low"}' },
    },
  }),
);
// with format=defectdojo the answer has another form
if ('vulnerabilities' in results) {
  const { vulnerabilities, pagination } = results;
  tell('findings', {
    count: vulnerabilities.length,
    worst: vulnerabilities[0]?.severity,
    more: pagination?.has_next,
  });
}

const { counts } = answered(
  await api.GET('/api/v1/scans/{head}/compare/{base}', {
    params: { path: { head: head.task_id, base: base.task_id }, query: { limit: 5 } },
  }),
);
tell('compared', { new: counts.new, persisting: counts.persisting });

const third = await submit('not wanted');
const cancelled = answered(
  await api.POST('/api/v1/scans/{id}/cancel', {
    params: { path: { id: third } },
    body: { reason: 'a mistake' },
  }),
);
tell('cancelled', { task_id: cancelled.task_id === third, status: (await ended(third)).status });

try {
  answered(await api.POST('/api/v1/scans/{id}/pause', { params: { path: { id: head.task_id } } }));
} catch (error) {
  if (!(error instanceof Refused)) throw error;
  tell('refused', { code: error.code });
}
