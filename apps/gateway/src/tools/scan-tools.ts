/** Tools that make scans and follow them. */
import {
  authenticatedScanRequestSchema,
  cancelAnswerSchema,
  cancelParamsSchema,
  controlAnswerSchema,
  controlParamsSchema,
  listTasksToolSchema,
  manageSchedulesAnswerSchema,
  manageSchedulesParamsSchema,
  planScanParamsSchema,
  type ScanStatus,
  type Schedule,
  scanPlanSchema,
  scanRequestSchema,
  scanStatusSchema,
  submissionSchema,
  type TaskRecord,
  taskIdParamsSchema,
  toCreateSchedule,
  untrustedScanRequestSchema,
  waitForScanParamsSchema,
} from '@scanmq/contract';
import { z } from 'zod';
import { briefQuality, fitList, fitPage, moreBy, shortTargets } from './budget.js';
import { nextSchema as next, statusSchema, toldStatus } from './told-status.js';
import { defineTool, READS, SCANS, STOPS, type Tool, type ToolContext } from './tool.js';
import { topFindingSchema, topFindings } from './top-findings.js';

// the other fields are told by get_scan_status
const waitSchema = z.looseObject({
  ...statusSchema.pick({
    task_id: true,
    status: true,
    progress: true,
    results_summary: true,
    quality: true,
    error: true,
    next: true,
  }).shape,
  top_findings: z
    .array(topFindingSchema)
    .optional()
    .meta({ description: 'Once completed: the worst plugins, with the hosts they affect' }),
});
const taskListSchema = z.object({
  tasks: z.array(scanStatusSchema),
  total: z.number().int(),
  next_cursor: z.string().nullable(),
  next: next.nullable(),
});

export function scanTools(): readonly Tool[] {
  async function submit(
    { plan_token, ...input }: { readonly plan_token?: string | undefined },
    { scans, plans, traceId }: ToolContext,
  ) {
    const request = scanRequestSchema.parse(input);
    await plans.confirm(request, plan_token);
    const { submission } = await scans.submit(request, { traceId });
    return { structured: submission };
  }

  return [
    defineTool({
      name: 'plan_scan',
      title: 'Plan a scan',
      description:
        'Dry run of run_untrusted_scan or run_authenticated_scan, with the same arguments: what the targets resolve to, how many hosts, whether policy allows it, which pool, how long it would wait. Scans nothing. Required before scans of many hosts or of unusual networks: hand its plan_token to run_*.',
      input: planScanParamsSchema,
      terseInput: true,
      output: scanPlanSchema,
      annotations: READS,
      run: async (input, { plans }) => ({
        structured: await plans.plan(scanRequestSchema.parse(withoutCredentials(input))),
      }),
    }),
    defineTool({
      name: 'run_untrusted_scan',
      title: 'Scan without logging in',
      description:
        'Queue a Nessus vulnerability scan of hosts, seen from the network only. Takes minutes to hours; returns a task_id at once. Next: wait_for_scan. Give an idempotency_key so that repeating the call cannot start a second scan. Results are kept for some days only.',
      input: untrustedScanRequestSchema,
      output: submissionSchema,
      annotations: SCANS,
      startsTask: true,
      run: async (input, context) => await submit({ ...input, scan_type: 'untrusted' } as object, context),
    }),
    defineTool({
      name: 'run_authenticated_scan',
      title: 'Scan with credentials',
      description:
        'Queue a Nessus scan that logs in to the hosts (SSH or Windows) and so finds missing patches too. Prefer credential_ref. Credentials are sealed at once and deleted when the task ends. Next: wait_for_scan; then check authentication_status: failed means that nobody could log in and the result says little.',
      input: authenticatedScanRequestSchema,
      output: submissionSchema,
      annotations: SCANS,
      startsTask: true,
      run: async (input, context) => await submit(input, context),
    }),
    defineTool({
      name: 'wait_for_scan',
      title: 'Wait for a scan',
      description:
        'Wait until a task has ended, or the time is over; then the same as get_scan_status, and the worst findings. Call it again while status is queued or running. To stop waiting stops nothing.',
      input: waitForScanParamsSchema,
      output: waitSchema,
      annotations: READS,
      streams: true,
      run: async ({ task_id, timeout_seconds }, context) => {
        const { scans, results } = context;
        const status = await scans.waitForEnd(
          task_id,
          timeout_seconds * 1_000,
          context.signal ?? new AbortController().signal,
          progressTeller(context),
        );
        const told = toldStatus(status);
        if (status.status !== 'completed' && !status.partial_results) return { structured: told };
        return { structured: { ...told, top_findings: await topFindings(results, task_id) } };
      },
    }),
    defineTool({
      name: 'get_scan_status',
      title: 'Status of a scan',
      description:
        'State, progress and, once completed, a summary of one task. status: queued, running, completed, failed, timeout or cancelled. Answers at once; wait_for_scan waits.',
      input: taskIdParamsSchema,
      output: statusSchema,
      annotations: READS,
      run: async ({ task_id }, { scans }) => ({ structured: toldStatus(await scans.status(task_id)) }),
    }),
    defineTool({
      name: 'list_tasks',
      title: 'Tasks',
      description: 'Tasks, newest first, filtered by state, pool or target. Go on with next_cursor.',
      input: listTasksToolSchema,
      output: taskListSchema,
      annotations: READS,
      run: async (input, { scans }) => {
        const page = await fitPage(
          async (limit) => {
            const { tasks, ...rest } = await scans.list({ ...input, limit });
            return { ...rest, tasks: tasks.map(shortStatus) };
          },
          ({ tasks }) => tasks,
          input.limit,
        );
        return { structured: { ...page, next: moreBy('list_tasks', page.next_cursor) } };
      },
    }),
    defineTool({
      name: 'cancel_scan',
      title: 'Cancel a scan',
      description:
        'Cancel a task that waits or runs; its scan is stopped on the scanner. It has ended when its status is cancelled.',
      input: cancelParamsSchema,
      output: cancelAnswerSchema,
      annotations: STOPS,
      run: async ({ task_id, reason, keep_results }, { scans, principal }) => ({
        structured: await scans.cancel(task_id, { reason, keepResults: keep_results, by: principal.name }),
      }),
    }),
    defineTool({
      name: 'control_scan',
      title: 'Pause, resume or retry a scan',
      description:
        'Hold a task (on the scanner too), let it go on, or run a failed, timed out or cancelled one again.',
      input: controlParamsSchema,
      output: controlAnswerSchema,
      annotations: SCANS,
      run: async ({ task_id, action }, { scans, principal }) => ({
        structured: await scans.control(task_id, action, principal.name),
      }),
    }),
    defineTool({
      name: 'manage_schedules',
      title: 'Recurring scans',
      description:
        'List, create, pause, resume or remove scans that recur. create takes request (the arguments of run_*, with scan_type; credentials by credential_ref only) and either cron with time_zone, or every_minutes. Scans of paused schedules are not started.',
      input: manageSchedulesParamsSchema,
      output: manageSchedulesAnswerSchema,
      annotations: SCANS,
      run: async (params, { schedules, plans }) => {
        const answer = (shown: readonly Schedule[], message: string | null, total = shown.length) => ({
          structured: { schedules: shown.map(briefSchedule), total, message },
        });
        const id = params.schedule_id ?? '';
        switch (params.action) {
          case 'list': {
            const { schedules: all, total } = await schedules.list();
            const shown = fitList(all.map(briefSchedule));
            const message =
              shown.length < all.length
                ? `${shown.length} of ${all.length} fit here; GET /api/v1/schedules has all of them.`
                : null;
            return { structured: { schedules: [...shown], total, message } };
          }
          case 'create': {
            const request = toCreateSchedule(params);
            await plans.confirm(scanRequestSchema.parse(request.request), params.plan_token);
            return answer([await schedules.create(request)], 'Created.');
          }
          case 'pause':
            return answer([await schedules.pause(id)], 'Paused.');
          case 'resume':
            return answer([await schedules.resume(id)], 'It goes on.');
          case 'remove':
            await schedules.remove(id);
            return answer([], `Removed ${id}; its tasks stay.`);
        }
      },
    }),
  ];
}

function withoutCredentials(input: z.output<typeof planScanParamsSchema>): object {
  // the checks of credentials belong to the submission: a plan can be made before anybody has them
  const { scan_type, credential_ref, ...rest } = input;
  const kept = Object.fromEntries(
    Object.entries(rest).filter(
      ([field]) => !/^(ssh|windows|escalation)_|^elevate_privileges_with$/.test(field),
    ),
  );
  return scan_type === 'untrusted'
    ? { ...kept, scan_type }
    : {
        ...kept,
        scan_type,
        elevate_privileges_with: 'sudo',
        ...(credential_ref === undefined
          ? { ssh_username: 'plan', ssh_password: 'plan' }
          : { credential_ref }),
      };
}

/** Tells of each step forward once. */
function progressTeller({ onProgress }: ToolContext): ((task: TaskRecord) => void) | undefined {
  if (!onProgress) return undefined;
  let told = -1;
  return ({ state, progress }) => {
    if (progress <= told) return;
    told = progress;
    onProgress({ progress, total: 100, message: state });
  };
}

function shortStatus(status: ScanStatus): ScanStatus {
  return {
    ...status,
    targets: shortTargets(status.targets),
    // the whole is in the status of the task
    quality: status.quality && briefQuality(status.quality),
  };
}

function briefSchedule({ request, ...schedule }: Schedule) {
  return {
    ...schedule,
    request: { name: request.name, targets: shortTargets(request.targets), scan_type: request.scan_type },
  };
}
