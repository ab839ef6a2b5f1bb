/** What can go wrong on purpose. One table; the control address and the documentation are made from it. */
import { z } from 'zod';

export const FAULTS = {
  reset_before_create: 'the connection is reset before a scan is created',
  echo_request: 'a create is refused with 400 that repeats what was sent, with its passwords',
  reset_after_create: 'the scan is created, then the connection is reset',
  reset_before_launch: 'the connection is reset before a scan is launched',
  reset_after_launch: 'the scan is launched, then the connection is reset',
  reset_after_stop: 'the scan is stopped, then the connection is reset',
  reset_after_delete: 'the scan is deleted, then the connection is reset',
  reset_on_412: 'a 412 is swallowed by a reset',
  http_503: 'any call answers 503',
  rate_limited: 'any call is turned away with 429, and asks to come back in `ms`, as whole seconds',
  unavailable_non_json: 'any call answers 503 with HTML',
  drop_connection: 'any read has its connection closed without an answer',
  stalled_socket: 'any call is never answered',
  slow_answer: 'any call is answered late, by `ms`',
  login_refused: 'a login is refused, whatever the password',
  session_expired: 'a session is no longer known (401)',
  token_rotates: "the page's token changes just before a call that changes scans",
  launch_conflict: 'a launch answers 409 although it was done',
  abort_scan: 'a launched scan is aborted at progress 0, without a reason',
  unknown_status: 'a running scan shows a status word that nobody knows',
  no_hosts: 'a launched scan finds nothing alive',
  licence_trim: 'a launched scan covers one host less than asked, with a note',
  credentials_rejected: 'the hosts reject the credentials of a launched scan',
  escalation_failed: 'the login of a launched scan works, becoming privileged does not',
  export_500: 'an export fails: 500 {"status":"error"}, then 404',
  export_gone: 'an export disappears before it is fetched',
  export_truncated: 'an export is cut in the middle',
  export_empty: 'an export has no bytes',
  export_json_body: 'an export is the JSON of an error',
  export_cut_connection: 'the connection breaks during the download of an export',
} as const;

export type FaultName = keyof typeof FAULTS;
export const faultNameSchema = z.enum(Object.keys(FAULTS) as [FaultName, ...FaultName[]]);

export const faultSchema = z.strictObject({
  name: faultNameSchema,
  /** Chance per occasion, 0 to 1. */
  probability: z.number().min(0).max(1).default(1),
  /** It ends after happening so often. */
  remaining: z.number().int().min(1).optional(),
  /** For `slow_answer` and `rate_limited`; a second when left out. */
  ms: z.number().min(0).max(600_000).optional(),
});
export type Fault = z.output<typeof faultSchema>;
export type FaultInput = z.input<typeof faultSchema>;

export interface FaultBoard {
  set(fault: FaultInput): void;
  clear(name?: FaultName): void;
  list(): readonly Fault[];
  /** True when the fault is to happen now. */
  hits(name: FaultName): boolean;
  /** As `hits`, with the settings of the fault. */
  take(name: FaultName): Fault | undefined;
}

/** @param random 0 to 1; seeded, so that a run can be repeated. */
export function createFaultBoard(random: () => number): FaultBoard {
  const faults = new Map<FaultName, Fault>();
  const take = (name: FaultName): Fault | undefined => {
    const fault = faults.get(name);
    if (!fault || random() >= fault.probability) return undefined;
    if (fault.remaining === 1) faults.delete(name);
    else if (fault.remaining !== undefined) faults.set(name, { ...fault, remaining: fault.remaining - 1 });
    return fault;
  };
  return {
    set(input) {
      const fault = faultSchema.parse(input);
      faults.set(fault.name, fault);
    },
    clear(name) {
      if (name === undefined) faults.clear();
      else faults.delete(name);
    },
    list: () => [...faults.values()],
    take,
    hits: (name) => take(name) !== undefined,
  };
}

/** A small generator of repeatable numbers from 0 to 1 (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
