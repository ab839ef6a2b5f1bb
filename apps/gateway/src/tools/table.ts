import { fleetTools } from './fleet-tools.js';
import { resultTools } from './result-tools.js';
import { scanTools } from './scan-tools.js';
import type { Tool } from './tool.js';

/** Every tool of the service, in the order in which they are listed (contract section 3). */
export function createTools(): readonly Tool[] {
  return [...scanTools(), ...resultTools(), ...fleetTools()];
}
