export {
  type Access,
  type AccessMode,
  type AccessOptions,
  type AccessSettings,
  checkBinding,
  type Identity,
  openAccess,
  openKeyStore,
  type Proof,
} from './access.js';
export { type AuditLog, type AuditLogOptions, createAuditLog } from './audit/audit-log.js';
export type { Decision } from './audit/entry.js';
export { type AuditHeads, createAuditHeads, type KnownHead } from './audit/heads.js';
export { type AuditProblem, type AuditReport, describeProblem, verifyAuditLog } from './audit/verify.js';
export {
  type Challenge,
  challenge,
  type ProtectedResource,
  protectedResourceMetadata,
  RESOURCE_METADATA_PATH,
} from './challenges.js';
export { createKeyAdministration, type KeyAdministration } from './keys.js';
export type { RateLimits } from './rate-limits.js';
export { accessKeys } from './redis-keys.js';
export { isChanging, originOf } from './same-origin.js';
export { checkSubmission, targetScopeOf, type WantedScan } from './submission.js';
