/** What a client without a good key or token is told (RFC 6750, RFC 9728). */

/** Where MCP clients find out whose tokens are accepted; only where an issuer is configured, or they would begin a login that cannot end. */
export const RESOURCE_METADATA_PATH = '/.well-known/oauth-protected-resource';

export interface ProtectedResource {
  /** Origin of the gateway, as clients reach it. */
  readonly publicUrl: string;
  /** Path of the resource, for example `/mcp`. */
  readonly path: string;
  readonly issuer: string;
}

/** The document of RFC 9728. */
export function protectedResourceMetadata({ publicUrl, path, issuer }: ProtectedResource) {
  return {
    resource: `${publicUrl}${path}`,
    authorization_servers: [issuer],
    bearer_methods_supported: ['header'],
    resource_name: 'scanmq',
  } as const;
}

export interface Challenge {
  /** What was wrong with what was sent; undefined when nothing was. */
  readonly error: 'invalid_token' | 'insufficient_scope' | undefined;
  /** Of the metadata; undefined without an issuer. */
  readonly metadataUrl: string | undefined;
}

/** Value of `WWW-Authenticate`, for 401 and 403. */
export function challenge({ error, metadataUrl }: Challenge): string {
  const parts = ['realm="scanmq"'];
  if (error !== undefined) parts.push(`error="${error}"`);
  // a URL has no quotes
  if (metadataUrl !== undefined) parts.push(`resource_metadata="${metadataUrl}"`);
  return `Bearer ${parts.join(', ')}`;
}
