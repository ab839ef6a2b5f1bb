/** Answers as this service gave them, to scans of the simulator; long texts are cut. For the document. */
import type {
  CredentialView,
  credentialListSchema,
  HousekeepingReport,
  storeCredentialSchema,
} from '@scanmq/contract';
import type { z } from 'zod';

export const CREDENTIAL_REQUEST: z.input<typeof storeCredentialSchema> = {
  name: 'linux-prod',
  description: 'Service account of the scanner',
  ssh_username: 'nessus',
  ssh_password: 'the password of the account',
  elevate_privileges_with: 'sudo',
};

export const CREDENTIAL: CredentialView = {
  name: 'linux-prod',
  description: 'Service account of the scanner',
  source: 'stored',
  ssh_username: 'nessus',
  ssh_login: 'password',
  elevate_privileges_with: 'sudo',
  windows_username: null,
  stored_at: '2026-11-25T19:50:26.386Z',
  stored_by: 'local',
};

export const CREDENTIALS: z.input<typeof credentialListSchema> = { credentials: [CREDENTIAL] };

export const HOUSEKEEPING: HousekeepingReport = {
  dry_run: true,
  tasks: [
    {
      task_id: 'ne_ness_20261110_195017_0a1b2c3d',
      state: 'completed',
      ended_at: '2026-11-10T20:14:02.031Z',
      reason: 'completed, kept for 7 days',
    },
  ],
  directories: [],
  unknown_directories: [],
  scans: [],
  problems: [],
};
