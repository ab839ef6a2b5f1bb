/** What the operations of a driver are made of: the API of one scanner, and answers in a known form. */
import type { ScannerInstanceConfig } from '@scanmq/config';
import { type InstanceKey, ScannerError } from '@scanmq/contract';
import type { z } from 'zod';
import { type Call, createApi, type NessusApi } from './api.js';
import { parseJson } from './decode.js';
import { createHttp, DEFAULT_TIMEOUTS, type HttpTimeouts, type ScannerHttp } from './http.js';
import { createSession } from './session.js';

export interface ConnectionOptions {
  readonly timeouts: Partial<HttpTimeouts> | undefined;
  /** Sent with every request. */
  readonly headers: Readonly<Record<string, string>>;
  readonly parallelRequests: number;
  /** Put around the API, for services that want to be asked with care. */
  readonly around?: (api: NessusApi) => NessusApi;
}

export interface Connection {
  readonly config: ScannerInstanceConfig;
  readonly instanceKey: InstanceKey;
  /** Without login. */
  readonly http: ScannerHttp;
  readonly api: NessusApi;
  /** @throws ScannerError also for an answer that does not fit; `unknown_outcome` then, when the call changed something. */
  ask<S extends z.ZodType>(call: Call, schema: S): Promise<z.output<S>>;
  /** Ends the session on the scanner and closes idle connections. */
  close(): Promise<void>;
}

export function createConnection(config: ScannerInstanceConfig, options: ConnectionOptions): Connection {
  const { instanceKey } = config;
  const http = createHttp(config, { ...DEFAULT_TIMEOUTS, ...options.timeouts }, options.headers);
  const session = createSession(config, http);
  const bare = createApi(config, http, session, options.parallelRequests);
  const api = options.around?.(bare) ?? bare;
  return {
    config,
    instanceKey,
    http,
    api,
    async ask(call, schema) {
      const { body } = await api.call(call);
      const parsed = schema.safeParse(parseJson(body));
      if (parsed.success) return parsed.data;
      throw new ScannerError(
        'scanner_rejected',
        `${instanceKey} answered '${call.operation}' in a form that scanmq does not know.`,
        {
          instanceKey,
          operation: call.operation,
          // a write was accepted, but what it made is not known: only a look can tell
          retryable: call.kind === 'scan' ? 'unknown_outcome' : 'yes',
        },
      );
    },
    async close() {
      await session.end();
      http.close();
    },
  };
}
