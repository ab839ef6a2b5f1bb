/** Who may do what: sessions, API keys, the page's token, and the refusals of licences without API (nessus-api.md sections 1.2 to 1.4). */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type { FaultBoard } from './faults.js';
import type { Clock, SimulatorSettings } from './options.js';

export type Login = 'session' | 'keys';

export interface Access {
  readonly accessKey: string;
  readonly secretKey: string;
  /** A new pair; the one before is void at once. */
  renewKeys(): { accessKey: string; secretKey: string };
  /** @returns the token of a new session; undefined for a wrong user or password, or while the account is locked. */
  logIn(username: string, password: string): string | undefined;
  logOut(token: string): boolean;
  /** Which login a request comes with; undefined for none that is valid. */
  loginOf(headers: Readonly<Record<string, string | string[] | undefined>>): Login | undefined;
  /** True when a call that changes scans is allowed: by the licence, or in the way of the web page. */
  maySteer(login: Login, headers: Readonly<Record<string, string | string[] | undefined>>): boolean;
  readonly locked: boolean;
  expireSessions(): void;
  rotateToken(): void;
  /** The web page's bundle, with the token in it; its tag changes with it. */
  bundle(): { text: string; etag: string };
}

/** Bad logins until the account locks. */
const LOGIN_ATTEMPTS = 5;

/** The page's bundle has other members of the same form (nessus-api.md section 1.4), and is megabytes. */
const DECOYS = ['00000000', 'top', 'nessuscli', 'winter']
  .map((word, index) => `{key:"decoy${index}",value:function(){return"${word}"}}`)
  .join(',');
const FILLER = `/* simulator */${'var a=function(b){return b};'.repeat(40_000)}`;

export function createAccess(settings: SimulatorSettings, faults: FaultBoard, clock: Clock): Access {
  let accessKey = settings.accessKey ?? randomBytes(32).toString('hex');
  let secretKey = settings.secretKey ?? randomBytes(32).toString('hex');
  const sessions = new Map<string, number>();
  let badLogins = 0;
  let apiToken = randomUUID().toUpperCase();

  function rotateToken(): void {
    // lower case after a change: a pattern for upper case only broke in the field
    apiToken = randomUUID();
  }

  const textOf = (value: string | string[] | undefined): string =>
    Array.isArray(value) ? (value[0] ?? '') : (value ?? '');

  return {
    get accessKey() {
      return accessKey;
    },
    get secretKey() {
      return secretKey;
    },
    renewKeys() {
      accessKey = randomBytes(32).toString('hex');
      secretKey = randomBytes(32).toString('hex');
      return { accessKey, secretKey };
    },
    get locked() {
      return badLogins >= LOGIN_ATTEMPTS;
    },
    logIn(username, password) {
      // API keys only
      if (settings.product === 'tenable_vm') return undefined;
      const right =
        username === settings.username && password === settings.password && !faults.hits('login_refused');
      if (!right || badLogins >= LOGIN_ATTEMPTS) {
        badLogins += 1;
        return undefined;
      }
      badLogins = 0;
      const token = randomBytes(24).toString('hex');
      sessions.set(token, clock());
      return token;
    },
    logOut: (token) => sessions.delete(token),

    loginOf(headers) {
      const keys = /accessKey=([0-9a-f]+);\s*secretKey=([0-9a-f]+);?/.exec(textOf(headers['x-apikeys']));
      if (keys) return keys[1] === accessKey && keys[2] === secretKey ? 'keys' : undefined;
      const token = /^token=([0-9a-f]+);?$/.exec(textOf(headers['x-cookie']))?.[1];
      const lastUsed = token === undefined ? undefined : sessions.get(token);
      if (token === undefined || lastUsed === undefined) return undefined;
      if (clock() - lastUsed > settings.idleSessionMs || faults.hits('session_expired')) {
        sessions.delete(token);
        return undefined;
      }
      sessions.set(token, clock());
      return 'session';
    },

    maySteer(login, headers) {
      if (settings.product === 'manager' || settings.product === 'tenable_vm') return true;
      if (faults.hits('token_rotates')) rotateToken();
      return login === 'session' && textOf(headers['x-api-token']) === apiToken;
    },

    expireSessions: () => sessions.clear(),
    rotateToken,
    bundle: () => ({
      text: `${FILLER}[${DECOYS},{key:"getApiToken",value:function(){return"${apiToken}"}}]${FILLER}`,
      etag: `"${createHash('sha256').update(apiToken).digest('hex').slice(0, 32)}"`,
    }),
  };
}
