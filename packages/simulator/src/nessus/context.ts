import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { Access, Login } from '../access.js';
import type { Engine, SimulatedRun, SimulatedScan } from '../engine.js';
import type { ExportBook } from '../exports.js';
import type { FaultBoard } from '../faults.js';
import type { SimulatorSettings } from '../options.js';
import type { ServerState } from '../server-state.js';
import { NessusRefusal, notFound } from './refusal.js';

export interface NessusDeps {
  readonly settings: SimulatorSettings;
  readonly state: ServerState;
  readonly engine: Engine;
  readonly access: Access;
  readonly exports: ExportBook;
  readonly faults: FaultBoard;
}

/** What the end points share. All of it throws NessusRefusal. */
export interface NessusContext extends NessusDeps {
  /** It is the cloud service, and no Nessus. */
  readonly cloud: boolean;
  /** Any login; 401 without. */
  login(request: FastifyRequest): Login;
  /** For calls that change scans: 401, or 412 where the licence does not offer them (nessus-api.md section 1.4). */
  steer(request: FastifyRequest): void;
  /** 400 for an id that is no number. */
  idOf(request: FastifyRequest, name?: string): number;
  /** The scan of the path's `:id`; 404. */
  scanOf(request: FastifyRequest): SimulatedScan;
  /** The run that `history_id` names, or the latest; 404 for a name that is none. */
  runOf(request: FastifyRequest, scan: SimulatedScan): SimulatedRun | undefined;
  /** 400 that names the first bad field. */
  bodyOf<S extends z.ZodType>(request: FastifyRequest, schema: S): z.output<S>;
  /** The refusal of a call in the wrong state: 409, or 500 from an old release. */
  conflict(message: string): NessusRefusal;
  /** Breaks the connection instead of answering. */
  cut(reply: FastifyReply): FastifyReply;
}

export function createContext(deps: NessusDeps): NessusContext {
  const { settings, engine, access } = deps;
  let expired = 0;

  function login(request: FastifyRequest): Login {
    const found = access.loginOf(request.headers);
    if (found) return found;
    if (request.headers['x-apikeys']) throw new NessusRefusal(401, 'Invalid Credentials');
    if (!request.headers['x-cookie'])
      throw new NessusRefusal(401, 'You need to log in to perform this request');
    // the text for a session that is over depends on the release (nessus-api.md section 1.3): one, then the other
    expired += 1;
    throw new NessusRefusal(401, expired % 2 === 1 ? 'Invalid Credentials' : 'Authorization required');
  }

  function idOf(request: FastifyRequest, name = 'id'): number {
    const text = (request.params as Record<string, string>)[name] ?? '';
    if (/^\d+$/.test(text)) return Number(text);
    throw new NessusRefusal(400, `Invalid '${name}' field: invalid type 'string', expecting 'int'`);
  }

  return {
    ...deps,
    cloud: settings.product === 'tenable_vm',
    login,
    steer(request) {
      if (!access.maySteer(login(request), request.headers))
        throw new NessusRefusal(412, 'API is not available');
    },
    idOf,
    scanOf(request) {
      const scan = engine.scan(idOf(request));
      if (!scan) throw notFound();
      return scan;
    },
    runOf(request, scan) {
      const wanted = (request.query as Record<string, string>).history_id;
      if (wanted === undefined) return scan.runs.at(-1);
      const run = scan.runs.find(
        // the cloud service takes the uuid as well (pyTenable, `tenable/io/scans.py`, `results`)
        ({ historyId, uuid }) => String(historyId) === wanted || uuid === wanted,
      );
      if (!run) throw notFound();
      return run;
    },
    bodyOf(request, schema) {
      const parsed = schema.safeParse(request.body ?? {});
      if (parsed.success) return parsed.data;
      throw new NessusRefusal(
        400,
        `Invalid '${String(parsed.error.issues[0]?.path.at(-1) ?? 'body')}' field`,
      );
    },
    conflict: (message) => new NessusRefusal(settings.legacyConflicts ? 500 : 409, message),
    cut(reply) {
      reply.raw.socket?.destroy();
      return reply.hijack();
    },
  };
}
