/** What happened to a task, as its stream of events tells it (contract section 5, `/scans/{id}/events`). */
import { z } from 'zod';
import { LIMITS } from './limits.js';
import { severityBreakdownSchema } from './results.js';
import { taskStateSchema } from './states.js';
import { errorCodeSchema, scanStatusSchema, taskErrorSchema } from './tasks.js';

const at = z.iso.datetime().meta({ description: 'When it happened' });

/** Every change of state, exactly once and in order. */
export const stateEventSchema = z
  .object({
    at,
    status: taskStateSchema,
    previous_status: taskStateSchema.nullable().meta({ description: 'Null for the first: its submission' }),
    attempts: z.number().int().meta({ description: 'Attempts begun until then' }),
    progress: z.number(),
    scanner_instance: z.string().nullable(),
    error: taskErrorSchema.nullable().meta({ description: 'Why it ended, or why it is tried again' }),
  })
  .meta({ description: 'The task has changed its state' });
export type StateEvent = z.infer<typeof stateEventSchema>;

export const hostProgressSchema = z.object({
  host: z.string().meta({
    description: 'Name or address; a name that is neither is told by a hash of it, always the same',
  }),
  progress: z.number().int().min(0).max(100),
  severity_breakdown: severityBreakdownSchema.nullable().meta({ description: 'Found there so far' }),
});
export type HostProgress = z.infer<typeof hostProgressSchema>;

/** How far it is. Only the newest matters, and only that is kept. */
export const progressEventSchema = z
  .object({
    at,
    progress: z.number().min(0).max(100),
    scanner_status: z.string().nullable().meta({ description: "The scanner's own word" }),
    hosts_seen: z.number().int().meta({ description: 'Hosts that the scanner lists so far' }),
    hosts_done: z.number().int(),
    hosts: z.array(hostProgressSchema).max(LIMITS.progressHosts).meta({
      description:
        'Those that are being scanned, then those that are done; none where the scanner does not tell',
    }),
    hosts_omitted: z.number().int().meta({ description: 'Hosts that are not in the list' }),
  })
  .meta({ description: 'The task has come further' });
export type ProgressEvent = z.infer<typeof progressEventSchema>;

/** A line about what was done. Our own words: no text of scanned hosts, no secret. */
export const logEventSchema = z
  .object({
    at,
    message: z.string(),
    code: errorCodeSchema.nullable().meta({ description: 'Of an attempt that failed' }),
  })
  .meta({ description: 'Something was done for the task, or went wrong' });
export type LogEvent = z.infer<typeof logEventSchema>;

/** Ids count up over the life of a task. They are opaque to clients, which send back the last one that they got. */
const id = z.number().int().min(0);

/** As it is stored. */
export const taskEventSchema = z.discriminatedUnion('type', [
  z.object({ id, type: z.literal('state'), data: stateEventSchema }),
  z.object({ id, type: z.literal('progress'), data: progressEventSchema }),
  z.object({ id, type: z.literal('log'), data: logEventSchema }),
]);
export type TaskEvent = z.infer<typeof taskEventSchema>;

/** As it is sent: `type` is the event's name, `id` its id. */
export const scanEventSchema = z.discriminatedUnion('type', [
  ...taskEventSchema.options,
  z.object({
    id,
    type: z.literal('snapshot').meta({
      description:
        'The whole task, instead of events that are not kept any more; what happens afterwards follows',
    }),
    data: scanStatusSchema,
  }),
]);
export type ScanEvent = z.infer<typeof scanEventSchema>;

export const eventsHeadersSchema = z.looseObject({
  'last-event-id': z.string().max(64).optional().meta({
    description: 'Id of the last event that the client has: what comes after it is told',
  }),
});

/** How a stream is asked for. */
export const eventsQuerySchema = z.strictObject({
  last_event_id: z.string().max(64).optional().meta({
    description: 'As the header Last-Event-ID, for clients that cannot set headers; the header wins',
  }),
});
