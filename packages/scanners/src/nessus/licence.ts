import type { ScannerInstanceConfig } from '@scanmq/config';
import type { ScannerMode } from '@scanmq/contract';
import type { ServerProperties } from './decode.js';

/** True, false, or null when the scanner does not say (nessus-api.md section 2.2: it occurs in two places). */
export function scanApiOf(properties: ServerProperties): boolean | null {
  return properties.features?.scan_api ?? properties.license?.features?.scan_api ?? null;
}

/** A licence for any number of hosts says the largest number that fits (nessus-api.md section 2.2). */
const UNLIMITED_HOSTS = 2 ** 31 - 1;
/** Latest moment that a date can hold, epoch seconds. */
const LATEST_SECONDS = 8.64e12;

/** What else a licence says of itself, where it does. */
export function licenceFacts({ license }: ServerProperties): {
  readonly licence_expires_at: string | null;
  readonly licence_hosts: number | null;
} {
  const expires = license?.expiration_date ?? 0;
  const hosts = license?.ips ?? 0;
  return {
    licence_expires_at:
      expires > 0 && expires <= LATEST_SECONDS ? new Date(expires * 1_000).toISOString() : null,
    licence_hosts: hosts > 0 && hosts < UNLIMITED_HOSTS ? Math.trunc(hosts) : null,
  };
}

/** Licences that do not offer launching scans by API (nessus-api.md section 1.4). */
const EXPORT_ONLY_PRODUCTS = /Professional|Expert|Essentials|Home/i;

/**
 * What may be done with the scanner. `web_session` is the owner's explicit choice to drive it like its own web page.
 */
export function modeOf(
  properties: ServerProperties,
  config: Pick<ScannerInstanceConfig, 'interface' | 'auth'>,
): ScannerMode {
  if (config.interface === 'web_session' && config.auth.kind === 'session') return 'full';
  const scanApi = scanApiOf(properties);
  if (scanApi !== null) return scanApi ? 'full' : 'export_only';
  return EXPORT_ONLY_PRODUCTS.test(properties.nessus_type ?? '') ? 'export_only' : 'unknown';
}
