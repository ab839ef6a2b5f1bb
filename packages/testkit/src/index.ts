export { type RunningProgram, runCommand, startProgram } from './program.js';
export {
  createService,
  restClient,
  type ScannerSetup,
  type ScannersDocument,
  type ServiceOptions,
  type TestService,
} from './service.js';
export { until } from './until.js';
