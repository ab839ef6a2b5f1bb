import type { ScannerInstanceConfig, Settings } from '@scanmq/config';
import { type ScanCredentials, SECRET_FIELDS } from '@scanmq/contract';
import { addSecret, type Logger } from '@scanmq/observability';

/** Takes the secrets of the configuration out of every log line from now on. */
export function hideConfiguredSecrets(
  log: Logger,
  settings: Pick<Settings, 'credentialsKey' | 'credentialsKeysPrevious' | 'redis' | 's3'>,
  instances: readonly ScannerInstanceConfig[],
): void {
  const { password } = new URL(settings.redis.url);
  const keys = settings.credentialsKey ? [settings.credentialsKey, ...settings.credentialsKeysPrevious] : [];
  const values = [
    ...(password === '' ? [] : [decodeURIComponent(password)]),
    ...(settings.redis.sentinelPassword === undefined ? [] : [settings.redis.sentinelPassword]),
    ...[settings.s3?.accessKeyId, settings.s3?.secretAccessKey].filter((value) => value !== undefined),
    ...keys.flatMap((key) => [key.toString('base64'), key.toString('base64url'), key.toString('hex')]),
    ...instances.flatMap(({ auth, headers }) => [
      ...(auth.kind === 'session' ? [auth.password] : [auth.accessKey, auth.secretKey]),
      ...Object.values(headers),
    ]),
  ];
  for (const value of values) addSecret(log, value);
}

/** Takes the secrets of one scan out of every log line. @returns ends it. */
export function hideScanSecrets(log: Logger, credentials: ScanCredentials): () => void {
  const forget = SECRET_FIELDS.flatMap((field) => {
    const value = credentials[field];
    return value === undefined || value === '' ? [] : [addSecret(log, value)];
  });
  return () => {
    for (const one of forget) one();
  };
}
