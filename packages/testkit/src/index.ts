export {
  CANARY,
  openBrowser,
  openWatchedPage,
  type PageDeeds,
  type WatchedPage,
} from './browser.js';
export { filesBelow, redisDump, secretsIn } from './canaries.js';
export { type DnsAnswer, type DnsStub, startDnsStub } from './dns-stub.js';
export { type RunningProgram, SCANMQ, startProgram } from './program.js';
export { openTestQueue, type TestQueueOptions, testScanners } from './queue.js';
export { type CommandResult, runCommand } from './run-command.js';
export { type LocalS3, startLocalS3 } from './s3.js';
export {
  createService,
  finishScan,
  type RestAnswer,
  type RestClient,
  restClient,
  type ScannerSetup,
  type ScannersDocument,
  type ServiceOptions,
  type TestService,
} from './service.js';
export { until } from './until.js';
