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

export interface ScannerAgents {
  /** Keeps connections for the next read. */
  readonly read: Agent;
  /** A fresh connection for each write: on a kept one, a reset would leave its outcome unknown without need. */
  readonly write: Agent;
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
  const make = (options: AgentOptions): Agent =>
    trust.tlsFingerprint === undefined
      ? new Agent({ ...common, ...options })
      : new PinnedAgent(trust.tlsFingerprint, { ...common, ...options });
  const read = make({ keepAlive: true, keepAliveMsecs: 15_000, maxFreeSockets: 4 });
  const write = make({ keepAlive: false });
  return {
    read,
    write,
    destroy() {
      read.destroy();
      write.destroy();
    },
  };
}

/** SHA-256 of a certificate in DER form, as `tls_fingerprint` has it. */
export function fingerprintOf(der: Buffer): string {
  return createHash('sha256').update(der).digest('hex');
}

type OnConnection = (error: Error | null, socket: Duplex) => void;

/** Hands out a connection only after its certificate was found to be the pinned one. */
class PinnedAgent extends Agent {
  readonly #fingerprint: string;

  constructor(fingerprint: string, options: AgentOptions) {
    super(options);
    this.#fingerprint = fingerprint;
  }

  override createConnection(options: RequestOptions, onConnection?: OnConnection): null {
    // the chain is not checked here because the comparison below is stricter: this very certificate, or nothing
    const socket: TLSSocket = connect({
      ...(options as ConnectionOptions),
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    });
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
    socket.once('secureConnect', () => {
      const { raw } = socket.getPeerCertificate();
      const presented = raw === undefined ? 'none' : fingerprintOf(raw);
      settle(presented === this.#fingerprint ? null : new FingerprintMismatchError(presented));
    });
    return null;
  }
}
