/** Whether the scopes of a key allow a submission. */
import { hoursStatus } from '@scanmq/config';
import { type Principal, ScanmqError, type ScanRequest, type TargetScope } from '@scanmq/contract';

export interface WantedScan {
  readonly request: Pick<
    ScanRequest,
    'scan_type' | 'template' | 'credential_ref' | 'ssh_username' | 'windows_username'
  >;
  /** Where it would run: the default pool where the request names none. */
  readonly pool: string;
}

const HOUR_MS = 3_600_000;

/**
 * Pools, templates, credentials and windows. Targets are the policy's to check, with `targetScopeOf`: at submission, and
 * again before the launch.
 * @throws ScanmqError `forbidden`, which says which scope of the key it is.
 */
export function checkSubmission(
  { scopes }: Pick<Principal, 'scopes'>,
  { request, pool }: WantedScan,
  now: Date,
): void {
  allowOnly(scopes.pools, pool, `scan with pool '${pool}'`, 'pools');
  allowOnly(scopes.templates, request.template, `use template '${request.template}'`, 'templates');
  if (scopes.credentials !== null && request.scan_type !== 'untrusted') {
    if (request.credential_ref === undefined)
      refuse('bring credentials of its own: it has to name a stored one (credential_ref)', 'credentials');
    allowOnly(
      scopes.credentials,
      request.credential_ref,
      `use credential '${request.credential_ref}'`,
      'credentials',
    );
  }
  if (scopes.windows === null) return;
  const status = hoursStatus(
    {
      windows: scopes.windows.map(({ opens, hours, time_zone }) => ({
        opens,
        durationMs: hours * HOUR_MS,
        timeZone: time_zone,
      })),
      atClose: 'continue',
    },
    now,
  );
  if (!status.open) refuse(`submit now: its next window opens at ${status.opensAt.toISOString()}`, 'windows');
}

/** What the principal may scan, to be kept with its task; null = whatever the service allows. */
export function targetScopeOf({ scopes }: Principal): TargetScope | null {
  return scopes.targets;
}

function allowOnly(list: readonly string[] | null, value: string, what: string, scope: string): void {
  if (list !== null && !list.includes(value)) refuse(what, scope);
}

function refuse(what: string, scope: string): never {
  throw new ScanmqError('forbidden', `This key may not ${what} (scope ${scope}).`);
}
