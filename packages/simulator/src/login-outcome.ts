/** What the hosts of a replay say of the credentials of a scan (nessus-api.md section 9.7). */
import type { SamplePlugin } from './samples.js';

export type LoginOutcome = 'none' | 'success' | 'rejected' | 'escalation_failed';

export interface LoginItem extends SamplePlugin {
  readonly output: string;
}

const plugin = (id: number, name: string, output: string): LoginItem => ({
  id,
  name,
  family: 'Settings',
  severity: 0,
  output,
});

const information = (checks: string): LoginItem =>
  plugin(
    19_506,
    'Nessus Scan Information',
    `Information about this scan :\n\nNessus version : simulator\nPort range : default\nScan type : Normal\nCredentialed checks : ${checks}\n`,
  );

const VALID = plugin(
  141_118,
  'Target Credential Status by Authentication Protocol - Valid Credentials Provided',
  'Nessus was able to log in to the remote host via SSH.',
);

/** The items that each host of such a scan has. */
export const LOGIN_ITEMS: Readonly<Record<LoginOutcome, readonly LoginItem[]>> = {
  none: [
    information('no'),
    plugin(
      110_723,
      'Target Credential Status by Authentication Protocol - No Credentials Provided',
      'SSH was detected on port 22 but no credentials were provided.',
    ),
  ],
  success: [information("yes, as 'auditor' via ssh"), VALID],
  rejected: [
    information('no'),
    plugin(
      104_410,
      'Target Credential Status by Authentication Protocol - Failure for Provided Credentials',
      'Nessus was unable to log into the following host for which credentials have been provided :\n\n  Protocol : SSH\n  Port : 22\n',
    ),
  ],
  escalation_failed: [
    information('partial'),
    VALID,
    plugin(
      110_385,
      'Target Credential Issues by Authentication Protocol - Insufficient Privilege',
      'Nessus was able to log in to the remote host via SSH, but could not become privileged.',
    ),
  ],
};
