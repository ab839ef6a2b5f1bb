/** What this package keeps in Redis, beside the keys of `queue` and by the same rule: `<prefix>:tasks.…`. */
export interface AccessKeys {
  /** Key id → its record, JSON; where there is no API_KEYS_FILE. */
  readonly apiKeys: string;
  /** Key id → when it was last used. */
  readonly lastUsed: string;
  /** Channel that tells that keys have changed. */
  readonly apiKeysChanged: string;
  /** Random key of the installation, for sessions; where there is no CREDENTIALS_KEY. */
  readonly sessionSecret: string;
  /** Id of an audit chain → its newest entry. */
  readonly auditHeads: string;
  /** Begin of the counters of limits. */
  readonly limits: string;
  /** Exists after the session was ended, until it would have ended by itself. */
  sessionEnded(sessionId: string): string;
}

/** @param prefix `QUEUE_PREFIX` */
export function accessKeys(prefix: string): AccessKeys {
  const own = `${prefix}:tasks.`;
  return {
    apiKeys: `${own}api-keys`,
    lastUsed: `${own}api-keys-last-used`,
    apiKeysChanged: `${own}api-keys-changed`,
    sessionSecret: `${own}session-secret`,
    auditHeads: `${own}audit-heads`,
    limits: `${own}limits`,
    sessionEnded: (sessionId) => `${own}session-ended:${sessionId}`,
  };
}
