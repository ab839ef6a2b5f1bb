export { createNessusScanner, type NessusScannerOptions } from './nessus/nessus-scanner.js';
export { createScannerRegistry, type ScannerRegistry, type ScannerRegistryOptions } from './registry.js';
export type * from './scanner.js';
export { createTenableVmScanner, type TenableVmScannerOptions } from './tenable-vm/tenable-vm-scanner.js';
