export { compileFilters, type Predicate } from './filters.js';
export type { Finding } from './finding.js';
export { type IngestInput, type IngestResult, ingestExport } from './ingest.js';
export { type ExportFault, InvalidExportError } from './invalid-export.js';
export { type ExportFacts, type ExportVisitor, type RawItem, readExport } from './read-export.js';
export { openResults, type Results, type ResultsOptions } from './results.js';
export type { CredentialOutcome, HostVerdict } from './verdict.js';
