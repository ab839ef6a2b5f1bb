import type { ScannerInstanceConfig } from '@scanmq/config';

/** What `scanners.yaml` holds of secrets for one scanner. */
export function secretsOf({
  auth,
  headers,
}: Pick<ScannerInstanceConfig, 'auth' | 'headers'>): readonly string[] {
  return [
    ...(auth.kind === 'session' ? [auth.password] : [auth.accessKey, auth.secretKey]),
    ...Object.values(headers),
  ];
}
