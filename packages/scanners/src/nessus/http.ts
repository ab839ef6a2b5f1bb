/** One HTTP exchange with a scanner, with every failure of the transport as a ScannerError. */
import type { Readable } from 'node:stream';
import type { ScannerInstanceConfig } from '@scanmq/config';
import { ScannerError } from '@scanmq/contract';
import got, {
  type Got,
  type OptionsInit,
  type PlainResponse,
  type Request,
  RequestError,
  TimeoutError,
} from 'got';
import { clockAheadMs } from './clock.js';
import { retryAfterMs } from './retry-after.js';
import { CONNECT_TIMEOUT_MS, createAgents, FingerprintMismatchError } from './tls.js';

export interface HttpTimeouts {
  /** To the first byte of the answer; details of a large scan take tens of seconds (nessus-api.md section 8.3). */
  readonly responseMs: number;
  /** A download may take as long as it needs, but not stand still for longer. */
  readonly idleMs: number;
}

export const DEFAULT_TIMEOUTS: HttpTimeouts = { responseMs: 60_000, idleMs: 60_000 };

/** JSON answers of real scanners are megabytes at most; `nessus6.js` is a few. */
const BODY_LIMIT_BYTES = 64 * 1024 * 1024;

export interface Exchange {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Begins with a slash. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly form?: FormData;
  /** Name of the operation, for messages. */
  readonly operation: string;
  /** True for calls that change something: they get a fresh connection, are never repeated here, and a broken one has an unknown outcome. */
  readonly write: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Epoch milliseconds: a write that cannot be sent before is not sent at all. */
  readonly sendBeforeMs?: number | undefined;
}

export interface Answer {
  readonly status: number;
  readonly body: string;
  /** How long the answer asks to wait before the next request. */
  readonly retryAfterMs?: number | undefined;
  /** How far the clock of whoever answered is ahead of ours; undefined when the answer has no `Date`. */
  readonly clockAheadMs?: number | undefined;
}

export interface Download {
  readonly status: number;
  /** Of an answer other than 200 nobody reads it: destroy it. */
  readonly body: Readable;
  readonly retryAfterMs: number | undefined;
}

export interface ScannerHttp {
  /** @throws ScannerError; the reason of the signal when it is aborted. */
  exchange(exchange: Exchange): Promise<Answer>;
  /** The body as a stream; only an answer of 200 has one. */
  download(exchange: Exchange): Promise<Download>;
  close(): void;
}

export function createHttp(
  config: ScannerInstanceConfig,
  timeouts: HttpTimeouts,
  headers: Readonly<Record<string, string>>,
): ScannerHttp {
  const agents = createAgents(config);
  const client: Got = got.extend({
    prefixUrl: config.url,
    headers: { ...headers, ...config.headers },
    followRedirect: false,
    throwHttpErrors: false,
    retry: { limit: 0 },
    decompress: true,
    https: { rejectUnauthorized: true },
  });

  function optionsOf(exchange: Exchange): OptionsInit {
    return {
      method: exchange.method,
      headers: { ...exchange.headers },
      agent: { https: exchange.write ? agents.write(exchange.sendBeforeMs) : agents.read },
      timeout: {
        lookup: CONNECT_TIMEOUT_MS,
        connect: CONNECT_TIMEOUT_MS,
        secureConnect: CONNECT_TIMEOUT_MS,
        response: timeouts.responseMs,
        socket: timeouts.idleMs,
      },
      ...(exchange.signal ? { signal: exchange.signal } : {}),
      ...(exchange.json === undefined ? {} : { json: exchange.json }),
      ...(exchange.form === undefined ? {} : { body: exchange.form }),
    };
  }

  async function once(exchange: Exchange): Promise<Answer> {
    exchange.signal?.throwIfAborted();
    const request = client(exchange.path.slice(1), {
      ...optionsOf(exchange),
      responseType: 'buffer',
      isStream: false,
    });
    let tooLarge = false;
    const sentAtMs = Date.now();
    void request.on('downloadProgress', ({ transferred }) => {
      if (transferred <= BODY_LIMIT_BYTES) return;
      tooLarge = true;
      request.cancel();
    });
    try {
      const { statusCode, body, headers: answered } = await request;
      return {
        status: statusCode,
        body: Buffer.from(body).toString('utf8'),
        retryAfterMs: retryAfterMs(answered['retry-after'], Date.now()),
        clockAheadMs: clockAheadMs(answered.date, sentAtMs, Date.now()),
      };
    } catch (error) {
      exchange.signal?.throwIfAborted();
      if (tooLarge)
        throw new ScannerError(
          'scanner_rejected',
          `The answer of the scanner to ${exchange.operation} is larger than ${BODY_LIMIT_BYTES} bytes.`,
          { instanceKey: config.instanceKey, operation: exchange.operation },
        );
      throw toScannerError(error, exchange, config);
    }
  }

  return {
    async exchange(exchange) {
      try {
        return await once(exchange);
      } catch (error) {
        // a kept connection may have been closed by the scanner meanwhile: reads are tried once more on another
        if (exchange.write || !isBroken(error)) throw error;
        return await once(exchange);
      }
    },

    async download(exchange) {
      exchange.signal?.throwIfAborted();
      const stream: Request = client.stream(exchange.path.slice(1), {
        ...optionsOf(exchange),
        isStream: true,
      });
      const response = await new Promise<PlainResponse>((resolve, reject) => {
        stream.once('response', resolve);
        stream.once('error', (error) =>
          reject(exchange.signal?.aborted ? exchange.signal.reason : toScannerError(error, exchange, config)),
        );
      });
      return {
        status: response.statusCode,
        body: stream,
        retryAfterMs: retryAfterMs(response.headers['retry-after'], Date.now()),
      };
    },

    close: () => agents.destroy(),
  };
}

/** Marks errors of a connection that broke, for the one repetition of a read. */
const BROKEN = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED']);

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

function isBroken(error: unknown): boolean {
  return error instanceof ScannerError && BROKEN.has(codeOf(error.cause));
}

/** Failures before anything of the request could be sent: it surely was not executed. */
const NOT_SENT = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'ERR_TLS_HANDSHAKE_TIMEOUT',
  'ERR_TLS_HANDSHAKE_CLOSED',
  'ERR_SEND_TOO_LATE',
]);
const TLS_CODES = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_SIGNATURE_FAILURE',
  'CERT_REVOKED',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'INVALID_CA',
  'HOSTNAME_MISMATCH',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'ERR_TLS_FINGERPRINT',
]);

const IN_WORDS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'its host name does not exist',
  EAI_AGAIN: 'its host name cannot be looked up now',
  ECONNREFUSED: 'it refuses connections',
  EHOSTUNREACH: 'there is no route to it',
  ENETUNREACH: 'there is no route to it',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was closed',
  ETIMEDOUT: 'it did not answer in time',
  ERR_TLS_HANDSHAKE_TIMEOUT: 'it did not finish the TLS handshake in time',
  ERR_TLS_HANDSHAKE_CLOSED: 'it closed the connection during the TLS handshake',
  ERR_SEND_TOO_LATE: 'the connection came too late, so nothing was sent',
};

/** A failure of the transport in our own words. The library's error is not kept: it carries the request with its headers. */
function toScannerError(error: unknown, exchange: Exchange, config: ScannerInstanceConfig): ScannerError {
  const underlying = error instanceof RequestError && error.cause instanceof Error ? error.cause : error;
  const code = codeOf(underlying) || codeOf(error);
  const cause = Object.assign(
    new Error(underlying instanceof Error ? underlying.message : String(underlying)),
    { code },
  );
  const facts = { instanceKey: config.instanceKey, operation: exchange.operation, cause };
  const where = `${config.instanceKey} (${config.url})`;

  if (TLS_CODES.has(code) || underlying instanceof FingerprintMismatchError) {
    return new ScannerError(
      'scanner_tls',
      `The certificate of ${where} cannot be trusted: ${tlsAdvice(underlying, code, config)}`,
      facts,
    );
  }
  if (code.startsWith('ERR_SSL') || code === 'EPROTO') {
    return new ScannerError(
      'scanner_tls',
      `${where} does not speak TLS as expected (${code}). Is the port right?`,
      facts,
    );
  }
  const early =
    NOT_SENT.has(code) ||
    (error instanceof TimeoutError && ['lookup', 'connect', 'secureConnect'].includes(error.event));
  const unknown = exchange.write && !early;
  const words = IN_WORDS[code] ?? `the connection failed (${code || 'no code'})`;
  return new ScannerError(
    'scanner_unreachable',
    unknown
      ? `Whether ${where} did '${exchange.operation}' is not known: ${words}.`
      : `${where} could not be reached for '${exchange.operation}': ${words}.`,
    { ...facts, retryable: unknown ? 'unknown_outcome' : 'yes' },
  );
}

function tlsAdvice(error: unknown, code: string, config: ScannerInstanceConfig): string {
  if (error instanceof FingerprintMismatchError) {
    return `its SHA-256 fingerprint is ${error.presented}, but tls_fingerprint says ${config.tlsFingerprint}. If the scanner was reinstalled, check the new fingerprint on its own machine and change the setting.`;
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH') {
    return 'it is made out for another name. Use that name in url, or pin the certificate with tls_fingerprint.';
  }
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') return `it is not valid now (${code}).`;
  return `nobody we trust has signed it (${code}). Name its authority in ca_file, or pin the certificate with tls_fingerprint (openssl s_client -connect HOST:8834 </dev/null | openssl x509 -noout -fingerprint -sha256).`;
}
