/** Credentials that an administrator stores once, so that scans name them instead of bringing secrets along. */
import { z } from 'zod';
import { LIMITS } from './limits.js';
import { checkCredentials, credentialFields, credentialNameSchema } from './requests.js';

const { credential_ref: _, ...storable } = credentialFields;

/** Body of `POST /api/v1/credentials`. Storing under a name that is taken replaces what it had. */
export const storeCredentialSchema = z
  .strictObject({
    name: credentialNameSchema.meta({ description: 'What credential_ref of a scan says' }),
    description: z.string().max(LIMITS.descriptionChars).default(''),
    ...storable,
  })
  .superRefine((fields, ctx) => checkCredentials({ ...fields, scan_type: 'authenticated' }, ctx));
export type StoreCredential = z.output<typeof storeCredentialSchema>;

/** Where a credential lies: in the store of the service, or with its workers. */
export const credentialSourceSchema = z.enum(['stored', 'file', 'folder', 'environment']);
export type CredentialSource = z.output<typeof credentialSourceSchema>;

/** What is told of a stored credential: never a secret. */
export const credentialViewSchema = z.object({
  name: z.string(),
  description: z.string(),
  source: credentialSourceSchema.default('stored'),
  ssh_username: z.string().nullable(),
  ssh_login: z.enum(['password', 'private_key']).nullable(),
  elevate_privileges_with: z.string().nullable(),
  windows_username: z.string().nullable(),
  stored_at: z.iso.datetime(),
  stored_by: z.string(),
});
export type CredentialView = z.infer<typeof credentialViewSchema>;

export const credentialListSchema = z.object({ credentials: z.array(credentialViewSchema) });
