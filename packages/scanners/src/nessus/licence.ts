import type { ScannerInstanceConfig } from '@scanmq/config';
import type { ScannerMode } from '@scanmq/contract';
import type { ServerProperties } from './decode.js';

/** True, false, or null when the scanner does not say (nessus-api.md section 2.2: it occurs in two places). */
export function scanApiOf(properties: ServerProperties): boolean | null {
  return properties.features?.scan_api ?? properties.license?.features?.scan_api ?? null;
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
