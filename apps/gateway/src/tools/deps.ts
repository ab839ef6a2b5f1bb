import type { PlanService } from '../plan-service.js';
import type { ResultService } from '../result-service.js';
import type { ScanService } from '../scan-service.js';
import type { ScheduleService } from '../schedule-service.js';

/** What tools call, and nothing below it. */
export interface ToolDeps {
  readonly scans: ScanService;
  readonly results: ResultService;
  readonly schedules: ScheduleService;
  readonly plans: PlanService;
}
