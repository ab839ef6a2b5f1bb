/** Logging in to a scanner: API keys, or a session that is renewed when it expires (nessus-api.md sections 1.2–1.4). */
import type { ScannerInstanceConfig } from '@scanmq/config';
import { ScannerError } from '@scanmq/contract';
import { secretsOf } from './config-secrets.js';
import { errorText, loginSchema, parseJson } from './decode.js';
import type { ScannerHttp } from './http.js';
import { findWebToken } from './web-token.js';

/** After a refused login the same password is not tried again for so long: accounts lock after a few bad logins. */
const REFUSED_MS = 5 * 60_000;

export interface ScannerSession {
  /** Headers of a logged-in request; logs in first when needed. */
  headers(signal: AbortSignal | undefined): Promise<Readonly<Record<string, string>>>;
  /** The scanner no longer accepts these headers. @returns true when another login may help. */
  expire(headers: Readonly<Record<string, string>>): boolean;
  /** The page's token was refused or is in doubt: it is fetched again before the next write. */
  forgetWebToken(): void;
  /** The page's token, for `interface: web_session`. */
  webToken(signal: AbortSignal | undefined): Promise<string>;
  /** Ends the session on the scanner, which allows only so many. */
  end(): Promise<void>;
}

export function createSession(config: ScannerInstanceConfig, http: ScannerHttp): ScannerSession {
  const { auth, instanceKey } = config;
  const secrets = secretsOf(config);
  let token: string | undefined;
  let loggingIn: Promise<string> | undefined;
  let refused: { error: ScannerError; until: number } | undefined;
  let webToken: Promise<string> | undefined;

  async function login(username: string, password: string): Promise<string> {
    if (refused && Date.now() < refused.until) throw refused.error;
    const { status, body } = await http.exchange({
      method: 'POST',
      path: '/session',
      json: { username, password },
      operation: 'login',
      // repeating a login does no harm, so a broken connection leaves nothing unknown
      write: false,
    });
    if (status === 401 || status === 403) {
      const error = new ScannerError(
        'scanner_auth_failed',
        `${instanceKey} refused the login of user '${username}'. Check user name and password; it is not tried again for ${REFUSED_MS / 60_000} minutes, so that the account does not lock.`,
        {
          instanceKey,
          operation: 'login',
          scannerHttpStatus: status,
          scannerMessage: errorText(body, secrets),
        },
      );
      refused = { error, until: Date.now() + REFUSED_MS };
      throw error;
    }
    const parsed = loginSchema.safeParse(parseJson(body));
    if (status === 200 && parsed.success) {
      refused = undefined;
      return parsed.data.token;
    }
    const busy = status >= 500;
    throw new ScannerError(
      busy ? 'scanner_unreachable' : 'scanner_rejected',
      `${instanceKey} answered ${status} to the login${errorText(body, secrets) === '' ? '' : `: ${errorText(body, secrets)}`}.`,
      { instanceKey, operation: 'login', scannerHttpStatus: status },
    );
  }

  return {
    async headers(signal) {
      if (auth.kind === 'api_keys')
        return { 'x-apikeys': `accessKey=${auth.accessKey}; secretKey=${auth.secretKey}` };
      if (token === undefined) {
        // one login for all that wait; it belongs to nobody's signal
        loggingIn ??= login(auth.username, auth.password).finally(() => {
          loggingIn = undefined;
        });
        token = await loggingIn;
        signal?.throwIfAborted();
      }
      return { 'x-cookie': `token=${token}` };
    },

    expire(headers) {
      if (auth.kind === 'api_keys') return false;
      // several requests may learn of it at once: only the first forgets, or they would throw away the new session
      if (headers['x-cookie'] === `token=${token}`) token = undefined;
      return true;
    },

    forgetWebToken() {
      webToken = undefined;
    },

    async webToken(signal) {
      webToken ??= fetchWebToken().catch((error: unknown) => {
        webToken = undefined;
        throw error;
      });
      const found = await webToken;
      signal?.throwIfAborted();
      return found;
    },

    async end() {
      if (token === undefined) return;
      const cookie = { 'x-cookie': `token=${token}` };
      token = undefined;
      await http
        .exchange({
          method: 'DELETE',
          path: '/session',
          headers: cookie,
          operation: 'logout',
          write: true,
          signal: AbortSignal.timeout(2_000),
        })
        .catch(() => undefined);
    },
  };

  async function fetchWebToken(): Promise<string> {
    const { status, body } = await http.exchange({
      method: 'GET',
      path: '/nessus6.js',
      operation: 'web token',
      write: false,
    });
    const found = status === 200 ? findWebToken(body) : undefined;
    if (found !== undefined) return found;
    // right after a restart the bundle is missing, or lacks the token: not ready yet
    throw new ScannerError(
      'scanner_unreachable',
      `${instanceKey} does not serve its web page yet (${status}).`,
      {
        instanceKey,
        operation: 'web token',
        scannerHttpStatus: status,
      },
    );
  }
}
