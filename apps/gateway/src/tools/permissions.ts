/** What each tool needs, in one table; the counterpart of `access/route-rules.ts`. */
import { may, type Permission, type Principal } from '@scanmq/contract';

export const TOOL_PERMISSIONS: Readonly<Record<string, Permission>> = {
  plan_scan: 'scans:submit',
  run_untrusted_scan: 'scans:submit',
  run_authenticated_scan: 'scans:submit',
  wait_for_scan: 'scans:read',
  get_scan_status: 'scans:read',
  list_tasks: 'scans:read',
  cancel_scan: 'scans:control',
  control_scan: 'scans:control',
  // it creates and removes as well as it lists
  manage_schedules: 'schedules:change',
  get_scan_results: 'results:read',
  search_findings: 'results:read',
  get_finding: 'results:read',
  compare_scans: 'results:read',
  list_scanners: 'fleet:read',
  list_pools: 'fleet:read',
  get_pool_status: 'fleet:read',
  get_queue_status: 'fleet:read',
};

/** What a tool needs; one that nobody has thought about is for administrators. */
export function permissionOf(tool: string): Permission {
  return TOOL_PERMISSIONS[tool] ?? 'keys:manage';
}

/** Whether a tool exists for this principal. */
export function mayUse(principal: Principal, tool: string): boolean {
  return may(principal, permissionOf(tool));
}
