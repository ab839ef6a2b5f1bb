export { ConfigError } from './config-error.js';
export { fileSignature } from './file-signature.js';
export {
  type MountedCredential,
  type MountedCredentials,
  readMountedCredentials,
} from './mounted-credentials.js';
export {
  type HoursStatus,
  hoursStatus,
  type OpeningHours,
  type OpeningWindow,
} from './opening-hours.js';
export { readScannersConfig, type ScannersSource } from './scanners-file.js';
export { readSecretFile } from './secret-files.js';
export { readSettings } from './settings.js';
export type * from './types.js';
export {
  renderEnvExample,
  SECRET_VARIABLES,
  VARIABLES,
  type Variable,
  type VariableName,
} from './variables.js';
export { type ScannersWatch, type ScannersWatchEvents, watchScannersConfig } from './watch.js';
