import type { FastifyInstance } from 'fastify';
import type { NessusContext } from '../nessus/context.js';
import { NessusRefusal } from '../nessus/refusal.js';
import { wordOf } from '../nessus/scan-views.js';
import { historyEntry } from './views.js';

/** Runs of a page where the request says nothing (pyTenable, `tenable/io/scans.py`, `history`). */
const PAGE = 50;

/** The small answers about the runs of a scan, which a Nessus does not have (pyTenable, `tenable/io/scans.py`: `history`, `status`, `progress`). */
export function runRoutes(app: FastifyInstance, { engine, login, scanOf, runOf }: NessusContext): void {
  app.get('/scans/:id/latest-status', async (request) => {
    login(request);
    return { status: wordOf(scanOf(request).runs.at(-1)) };
  });

  app.get('/scans/:id/history', async (request) => {
    login(request);
    const { limit = String(PAGE), offset = '0' } = request.query as Record<string, string>;
    if (!/^[1-9]\d*$/.test(limit) || !/^\d+$/.test(offset))
      throw new NessusRefusal(400, "Invalid 'limit' field");
    const newestFirst = scanOf(request).runs.toReversed();
    const page = newestFirst.slice(Number(offset), Number(offset) + Number(limit));
    return {
      pagination: { total: newestFirst.length, limit: Number(limit), offset: Number(offset), sort: [] },
      history: page.map(historyEntry),
    };
  });

  app.get('/scans/:id/progress', async (request) => {
    login(request);
    const run = runOf(request, scanOf(request));
    const hosts = run ? engine.begunHosts(run) : [];
    const done = hosts.reduce((sum, { share }) => sum + share, 0);
    return { progress: run && run.hosts.length > 0 ? Math.floor((done / run.hosts.length) * 100) : 0 };
  });
}
