import type { ScanCredentials } from '@scanmq/contract';

type CredentialObject = Record<string, string>;

export interface CredentialPayload {
  readonly add: {
    readonly Host: {
      readonly SSH?: readonly CredentialObject[];
      readonly Windows?: readonly CredentialObject[];
    };
  };
  readonly edit: Record<string, never>;
  readonly delete: readonly never[];
}

/**
 * Credentials as `POST /scans` takes them (nessus-api.md section 4.2). Case matters, and differs: SSH `password`, Windows `Password`.
 * @param uploadKey uploads a private key and answers with the name that the scanner gave it.
 */
export async function credentialPayload(
  credentials: ScanCredentials,
  uploadKey: (privateKey: string) => Promise<string>,
): Promise<CredentialPayload> {
  const ssh =
    credentials.ssh_username === undefined
      ? undefined
      : await sshObject(credentials, credentials.ssh_username, uploadKey);
  const windows =
    credentials.windows_username === undefined
      ? undefined
      : {
          auth_method: 'Password',
          username: credentials.windows_username,
          password: credentials.windows_password ?? '',
          domain: credentials.windows_domain ?? '',
        };
  return {
    add: { Host: { ...(ssh ? { SSH: [ssh] } : {}), ...(windows ? { Windows: [windows] } : {}) } },
    edit: {},
    delete: [],
  };
}

async function sshObject(
  credentials: ScanCredentials,
  username: string,
  uploadKey: (privateKey: string) => Promise<string>,
): Promise<CredentialObject> {
  const login: CredentialObject =
    credentials.ssh_private_key === undefined
      ? {
          auth_method: 'password',
          username,
          password: credentials.ssh_password ?? '',
          custom_password_prompt: '',
          target_priority_list: '',
        }
      : {
          auth_method: 'public key',
          username,
          private_key: await uploadKey(credentials.ssh_private_key),
          private_key_passphrase: credentials.ssh_key_passphrase ?? '',
        };
  const method = credentials.elevate_privileges_with;
  if (method === 'Nothing') return { ...login, elevate_privileges_with: 'Nothing' };
  return {
    ...login,
    elevate_privileges_with: method,
    escalation_account: credentials.escalation_account ?? 'root',
    // empty for password-less sudo
    escalation_password: credentials.escalation_password ?? '',
    ...(method === 'su+sudo' ? { su_user: credentials.escalation_account ?? 'root' } : {}),
  };
}
