/**
 * Trust in a scanner's certificate. Verified by default; with a private authority (`ca_file`); or, for the self-signed
 * certificate that Nessus makes at its installation, by a pinned SHA-256 fingerprint of the leaf (nessus-api.md section 1.1).
 * Verification is never off.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent, type AgentOptions, type RequestOptions } from 'node:https';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';

/** How long TCP and TLS may take; handshakes through container NAT were seen to hang (nessus-api.md section 8.3). */
export const CONNECT_TIMEOUT_MS = 10_000;

/** The certificate is not the pinned one. Thrown before a single byte of HTTP is sent. */
export class FingerprintMismatchError extends Error {
  readonly code = 'ERR_TLS_FINGERPRINT';
  /** SHA-256 of the certificate that was presented, 64 hex digits. */
  readonly presented: string;
  constructor(presented: string) {
    super(`the certificate presented has the SHA-256 fingerprint ${presented}`);
    this.name = 'FingerprintMismatchError';
    this.presented = presented;
  }
}

/** The connection was ready too late: what was to be sent is not sent any more. */
export class SendTooLateError extends Error {
  readonly code = 'ERR_SEND_TOO_LATE';
  constructor() {
    super('the connection was ready only after the time in which the request was to be sent');
    this.name = 'SendTooLateError';
  }
}

export interface ScannerAgents {
  /** Keeps connections for the next read. */
  readonly read: Agent;
  /**
   * A fresh connection for one write: on a kept one, a reset would leave its outcome unknown without need.
   * @param sendBeforeMs epoch milliseconds; a connection that is ready later is not used.
   */
  write(sendBeforeMs: number | undefined): Agent;
  destroy(): void;
}

export function createAgents(trust: {
  readonly caFile: string | undefined;
  readonly tlsFingerprint: string | undefined;
}): ScannerAgents {
  // resumed TLS sessions carry no certificate to compare, so none are kept
  const common: AgentOptions = {
    maxCachedSessions: 0,
    ...(trust.caFile === undefined ? {} : { ca: readFileSync(trust.caFile) }),
  };
  const read = new CheckedAgent(trust.tlsFingerprint, undefined, {
    ...common,
    keepAlive: true,
    keepAliveMsecs: 15_000,
    maxFreeSockets: 4,
  });
  return {
    read,
    write: (sendBeforeMs) =>
      new CheckedAgent(trust.tlsFingerprint, sendBeforeMs, { ...common, keepAlive: false }),
    destroy: () => read.destroy(),
  };
}

/** SHA-256 of a certificate in DER form, as `tls_fingerprint` has it. */
export function fingerprintOf(der: Buffer): string {
  return createHash('sha256').update(der).digest('hex');
}

type OnConnection = (error: Error | null, socket: Duplex) => void;

/** Hands out a connection only after TLS stands, its certificate is trusted, and only in time. */
class CheckedAgent extends Agent {
  readonly #fingerprint: string | undefined;
  readonly #sendBeforeMs: number | undefined;

  constructor(fingerprint: string | undefined, sendBeforeMs: number | undefined, options: AgentOptions) {
    super(options);
    this.#fingerprint = fingerprint;
    this.#sendBeforeMs = sendBeforeMs;
  }

  override createConnection(options: RequestOptions, onConnection?: OnConnection): null {
    const verified: ConnectionOptions = { ...(options as ConnectionOptions), rejectUnauthorized: true };
    const socket: TLSSocket = connect(
      this.#fingerprint === undefined
        ? verified
        : // the chain is not checked here because the comparison below is stricter: this very certificate, or nothing
          { ...verified, rejectUnauthorized: false, checkServerIdentity: () => undefined },
    );
    let settled = false;
    const settle = (error: Error | null): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      socket.off('error', settle);
      if (error) {
        socket.destroy();
        // Node looks at the error only; its type wants a socket all the same
        onConnection?.(error, socket);
      } else onConnection?.(null, socket);
    };
    const timer = setTimeout(
      () =>
        settle(Object.assign(new Error('no TLS connection in time'), { code: 'ERR_TLS_HANDSHAKE_TIMEOUT' })),
      CONNECT_TIMEOUT_MS,
    );
    socket.once('error', settle);
    socket.once('close', () =>
      settle(
        Object.assign(new Error('closed during the TLS handshake'), { code: 'ERR_TLS_HANDSHAKE_CLOSED' }),
      ),
    );
    socket.once('secureConnect', () => settle(this.#objection(socket)));
    return null;
  }

  #objection(socket: TLSSocket): Error | null {
    if (this.#fingerprint !== undefined) {
      const { raw } = socket.getPeerCertificate();
      const presented = raw === undefined ? 'none' : fingerprintOf(raw);
      if (presented !== this.#fingerprint) return new FingerprintMismatchError(presented);
    }
    return this.#sendBeforeMs !== undefined && Date.now() > this.#sendBeforeMs
      ? new SendTooLateError()
      : null;
  }
}
