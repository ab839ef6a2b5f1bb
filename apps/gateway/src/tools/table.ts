import type { ToolDeps } from './deps.js';
import { fleetTools } from './fleet-tools.js';
import { resultTools } from './result-tools.js';
import { scanTools } from './scan-tools.js';
import type { Tool } from './tool.js';

/** Every tool of the service, in the order in which they are listed (contract section 3). */
export function createTools(deps: ToolDeps): readonly Tool[] {
  return [...scanTools(deps), ...resultTools(deps), ...fleetTools(deps)];
}
