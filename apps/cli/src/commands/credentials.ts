import { readFileSync } from 'node:fs';
import { credentialListSchema, credentialViewSchema, ScanmqError } from '@scanmq/contract';
import { z } from 'zod';
import type { Client } from '../client.js';
import { EXIT } from '../exit-codes.js';
import type { ProgramIo } from '../program-io.js';
import { credentialsTable } from '../tables.js';

interface Output {
  readonly json?: boolean;
}

export interface AddCredentialOptions extends Output {
  readonly description?: string;
  readonly sshUsername?: string;
  readonly sshPasswordFile?: string;
  readonly sshKeyFile?: string;
  readonly sshKeyPassphraseFile?: string;
  readonly elevateWith?: string;
  readonly escalationAccount?: string;
  readonly escalationPasswordFile?: string;
  readonly windowsUsername?: string;
  readonly windowsPasswordFile?: string;
  readonly windowsDomain?: string;
}

/** `scanmq credentials list`. */
export async function listCredentials(io: ProgramIo, client: Client, options: Output): Promise<number> {
  const answer = await client.call('get', 'credentials', credentialListSchema);
  const text = answer.credentials.length === 0 ? 'None is stored.' : credentialsTable(answer.credentials);
  io.stdout.write(options.json ? `${JSON.stringify(answer)}\n` : `${text}\n`);
  return EXIT.passed;
}

/** `scanmq credentials add`. Secrets come from files: on a command line every user of the machine could read them. */
export async function addCredential(
  io: ProgramIo,
  client: Client,
  name: string,
  options: AddCredentialOptions,
): Promise<number> {
  const view = await client.call('post', 'credentials', credentialViewSchema, {
    json: {
      name,
      description: options.description,
      ssh_username: options.sshUsername,
      ssh_password: secretFrom(options.sshPasswordFile),
      ssh_private_key: keyFrom(options.sshKeyFile),
      ssh_key_passphrase: secretFrom(options.sshKeyPassphraseFile),
      elevate_privileges_with: options.elevateWith,
      escalation_account: options.escalationAccount,
      escalation_password: secretFrom(options.escalationPasswordFile),
      windows_username: options.windowsUsername,
      windows_password: secretFrom(options.windowsPasswordFile),
      windows_domain: options.windowsDomain,
    },
  });
  io.stdout.write(options.json ? `${JSON.stringify(view)}\n` : `${credentialsTable([view])}\n`);
  return EXIT.passed;
}

/** `scanmq credentials remove`. */
export async function removeCredential(
  io: ProgramIo,
  client: Client,
  name: string,
  options: Output,
): Promise<number> {
  await client.call('delete', `credentials/${encodeURIComponent(name)}`, z.unknown());
  io.stdout.write(options.json ? `${JSON.stringify({ name, removed: true })}\n` : `${name} is removed.\n`);
  return EXIT.passed;
}

function keyFrom(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch {
    throw new ScanmqError('invalid_request', `There is no readable file ${file}.`);
  }
}

/** One line end at the end belongs to the file, not to the password. */
export function secretFrom(file: string | undefined): string | undefined {
  return keyFrom(file)?.replace(/\r?\n$/, '');
}
