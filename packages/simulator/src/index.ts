export { keepCertificate } from './certificate.js';
export { FAULTS, type Fault, type FaultInput, type FaultName } from './faults.js';
export { PRODUCTS, type SimulatorOptions, simulatorOptionsSchema } from './options.js';
export { startSimulator } from './simulator.js';
export type { ScanFacts, Simulator, SimulatorStats } from './simulator-api.js';
