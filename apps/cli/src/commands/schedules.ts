import type { Schedule } from '@scanmq/contract';
import type { Client } from '../client.js';
import { EXIT } from '../exit-codes.js';
import type { ProgramIo } from '../program-io.js';
import { describeRecurrence, schedulesTable } from '../tables.js';
import { type ScanOptions, scanBody } from './scans.js';

export interface CreateScheduleOptions extends Omit<ScanOptions, 'idempotencyKey' | 'wait'> {
  readonly scheduleName?: string;
  readonly cron?: string;
  readonly timeZone?: string;
  /** Minutes. */
  readonly every?: number;
  readonly overlap?: string;
}

interface Output {
  readonly json?: boolean;
}

/** `scanmq schedules list`. */
export async function listSchedules(io: ProgramIo, client: Client, options: Output): Promise<number> {
  const answer = await client.schedules();
  const text = answer.total === 0 ? 'There are no recurring scans.' : schedulesTable(answer.schedules);
  io.stdout.write(options.json ? `${JSON.stringify(answer)}\n` : `${text}\n`);
  return EXIT.passed;
}

/** `scanmq schedules create`. */
export async function createSchedule(
  io: ProgramIo,
  client: Client,
  targets: readonly string[],
  options: CreateScheduleOptions,
): Promise<number> {
  const schedule = await client.createSchedule({
    name: options.scheduleName,
    request: scanBody(targets, options),
    cron: options.cron,
    time_zone: options.timeZone,
    every_minutes: options.every,
    overlap: options.overlap,
  });
  return print(io, schedule, options);
}

/** `scanmq schedules show`. */
export async function showSchedule(
  io: ProgramIo,
  client: Client,
  scheduleId: string,
  options: Output,
): Promise<number> {
  return print(io, await client.schedule(scheduleId), options);
}

/** `scanmq schedules pause` and `resume`. */
export async function switchSchedule(
  io: ProgramIo,
  client: Client,
  scheduleId: string,
  action: 'pause' | 'resume',
  options: Output,
): Promise<number> {
  return print(io, await client.switchSchedule(scheduleId, action), options);
}

/** `scanmq schedules remove`. */
export async function removeSchedule(
  io: ProgramIo,
  client: Client,
  scheduleId: string,
  options: Output,
): Promise<number> {
  await client.removeSchedule(scheduleId);
  io.stdout.write(
    options.json
      ? `${JSON.stringify({ schedule_id: scheduleId, removed: true })}\n`
      : `${scheduleId} removed. Scans that it submitted go on.\n`,
  );
  return EXIT.passed;
}

/** `scanmq schedules run`. */
export async function runScheduleNow(
  io: ProgramIo,
  client: Client,
  scheduleId: string,
  options: Output & { readonly idempotencyKey?: string },
): Promise<number> {
  const task = await client.runSchedule(scheduleId, options.idempotencyKey);
  io.stdout.write(
    options.json
      ? `${JSON.stringify(task)}\n`
      : `${task.task_id} ${task.status}\nFollow it: scanmq status ${task.task_id} --wait\n`,
  );
  return EXIT.passed;
}

function print(io: ProgramIo, schedule: Schedule, options: Output): number {
  io.stdout.write(options.json ? `${JSON.stringify(schedule)}\n` : describeSchedule(schedule));
  return EXIT.passed;
}

function describeSchedule(schedule: Schedule): string {
  const lines = [
    `${schedule.name} (${schedule.schedule_id})${schedule.paused ? ', paused' : ''}`,
    `  when       ${describeRecurrence(schedule)}`,
    `  next run   ${schedule.next_run_at ?? 'none while it is paused'}`,
    `  overlap    ${schedule.overlap}`,
    `  targets    ${schedule.request.targets}`,
    `  so far     ${schedule.runs} runs, ${schedule.skips} skipped, ${schedule.refusals} refused`,
  ];
  if (schedule.last_outcome) lines.push(`  last       ${describeOutcome(schedule)}`);
  return `${lines.join('\n')}\n`;
}

/** What came of the last run of a schedule, for people. */
function describeOutcome({ last_outcome }: Schedule): string {
  if (last_outcome === null) return '';
  const { at } = last_outcome;
  switch (last_outcome.outcome) {
    case 'submitted':
      return `${at} submitted ${last_outcome.task_id}`;
    case 'skipped':
      return `${at} skipped: ${last_outcome.reason}`;
    case 'refused':
      return `${at} refused (${last_outcome.code}): ${last_outcome.message}`;
  }
}
