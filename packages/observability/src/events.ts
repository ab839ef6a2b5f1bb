/**
 * Every event of the log: its level and meaning in one table. `event` of a line is one of these names; a test compares the
 * table with the code, both ways.
 *
 * - `error`: somebody has to act.
 * - `warn`: something went wrong that recovered by itself, is tried again, or should be looked at some time.
 * - `info`: a state has changed, or somebody has asked for something.
 * - `debug`: for whoever looks for a mistake.
 */
export type EventLevel = 'debug' | 'info' | 'warn' | 'error';

export interface LogEvent {
  /** Several where the line tells of good and bad news. */
  readonly levels: readonly EventLevel[];
  readonly meaning: string;
}

const at =
  (...levels: readonly EventLevel[]) =>
  (meaning: string): LogEvent => ({ levels, meaning });
const debug = at('debug');
const info = at('info');
const warn = at('warn');
const error = at('error');

export const LOG_EVENTS = {
  // programs
  'start.waiting': info('A program waits at its start for Redis, or for the store of the results'),
  'gateway.listening': info('The gateway takes requests'),
  'worker.started': info('The worker takes jobs'),
  'worker.stopping': info('The worker hands over its scans'),
  'worker.stopped': info('The worker has ended'),
  'worker.grace_passed': warn(
    'SHUTDOWN_GRACE_SECONDS passed before all scans were handed over; others go on with them',
  ),
  'worker.error': warn('BullMQ told of an error of a queue; it goes on'),
  'dependency.error': warn('Redis, a queue or a copy on disk had trouble'),
  'redis.settings': warn('Redis is set so that it may lose something'),
  'tracing.failed': warn('Spans could not be sent to the collector; they are lost'),
  'config.reloaded': info('scanners.yaml was read again'),
  'config.rejected': error('The new scanners.yaml is broken; the old one stays in force'),
  'config.apply_failed': error('The new scanners could not be applied'),
  'config.reload_failed': error('SIGHUP did not work'),
  'limits.failed': warn('The limits of the queues could not be applied; with the next round they are'),
  'credentials.mistakes': warn('Credentials of this worker are not usable'),
  'credentials.offer_failed': warn('The gateways could not be told which credentials this worker has'),

  // requests
  'http.request': at('debug', 'info')('A request was answered'),
  'request.failed': error('A request ended with an error that is not the fault of whoever sent it'),
  'tool.failed': error('A tool call ended with an error that nobody thought of'),
  'access.local': info('There is no key: whoever is on this machine may do everything'),
  'access.refused': warn('A key or token was refused'),
  'access.problem': warn('Keys, tokens or the audit log had trouble'),
  'access.unlisted_route': warn('A route is in no table of permissions: administrators only'),
  'audit.failed': error('A refusal could not be written to the audit log'),
  'events.look_failed': debug(
    'The events of a task could not be looked for; the next announcement brings them',
  ),

  // a task
  'run.begun': info('A worker goes on with a task'),
  'run.handed_over': info('A worker that ends hands its task to another'),
  'run.lost': warn('Another worker owns the task; this one ends without touching anything'),
  'job.stalled': warn('A worker died with a task; it goes on here or elsewhere'),
  'scan.created': info('The scan of a task is on the scanner'),
  'scan.launched': info('It runs'),
  'scanner.away': warn('A scanner does not answer a run, which waits for it'),
  'store.away': warn('The store of the results does not answer a run, which waits for it'),
  'export.again': warn('An export was not usable; another is asked for'),
  'attempt.failed': warn('An attempt failed, another follows'),
  'scan.abandoned': warn('The scanner stayed away; the scan is made anew elsewhere'),
  'scan.stop_failed': warn('A scan could not be stopped; it keeps its slot until it has ended'),
  'results.partial_failed': warn('What a stopped scan had found could not be kept'),
  'task.completed': info('A task is completed'),
  'task.cancelled': info('A task is cancelled'),
  'task.failed': error('A task has failed: a dead letter'),
  'task.timeout': error('A task ran out of time: a dead letter'),

  // what is looked after
  'scanner.health': at('info', 'warn')('The health of a scanner is another'),
  'admission.failed': warn('Those that wait could not be looked after; it is tried again'),
  sweep: warn('The sweep put something right that a crash had left'),
  housekeeping: info('What was past its retention is removed'),
  'scan.deleted': info('A scan of ours was deleted on its scanner'),
  'scan.delete_failed': warn('It could not be deleted; it is tried again later'),
  'scan.orphan': warn('A scan of ours runs without anybody following it; it is stopped'),
  'abandoned.waits': debug('The scanner of a scan that was given up cannot be asked yet'),
  'abandoned.settled': info('A scan that was given up runs no more'),
  'follow.collected': info('A finished scan of a followed folder is imported'),
  'follow.failed': warn('A followed folder could not be looked at'),
  'follow.no_folder': warn('A followed folder does not exist'),

  // schedules and webhooks
  'schedule.submitted': info('A scan of a schedule is submitted'),
  'schedule.skipped': info('A run is left out, because the one before has not ended'),
  'schedule.not_run': info('A run is left out'),
  'schedule.refused': warn('A scan of a schedule is refused'),
  'schedules.reconciled': warn('Schedules and their jobs did not agree; they do again'),
  'webhook.delivered': debug('A message is delivered'),
  'webhook.retry': info('It was not; it is tried again'),
  'webhook.given_up': warn('It is given up'),
  'webhook.disabled': error('A webhook is disabled after long failure'),
  'webhook.secret': error('The secret of a webhook cannot be read'),
  'webhooks.gap': warn('The change log was cut before webhooks were told of all of it'),
  'webhooks.error': warn('Webhooks cannot be told now'),
} as const satisfies Record<string, LogEvent>;

export type EventName = keyof typeof LOG_EVENTS;
