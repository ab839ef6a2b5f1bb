/**
 * Credentials that lie with a worker and not in the store: a mounted folder, a sealed file, the environment. Only
 * workers read them; everybody else knows their names.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type CredentialSource,
  credentialFields,
  credentialNameSchema,
  type InputIssue,
  type StoreCredential,
  storeCredentialSchema,
} from '@scanmq/contract';
import { readSecretFile } from './secret-files.js';
import type { Environment, Settings } from './types.js';

export interface MountedCredential {
  readonly source: CredentialSource;
  readonly credential: StoreCredential;
}

export interface MountedCredentials {
  readonly byName: ReadonlyMap<string, MountedCredential>;
  /** What is wrong, without any value; whatever is right is there all the same. */
  readonly mistakes: readonly InputIssue[];
}

/** `CREDENTIAL_PROD_LINUX={"ssh_username": …}` is `prod-linux`. */
const VARIABLE = /^CREDENTIAL_([A-Z0-9_]+)$/;

/**
 * Reads them anew. Of two with one name the folder comes first, then the file, then the environment.
 * @param openFile opens what `CREDENTIALS_FILE` holds: a mapping from names to fields.
 */
export function readMountedCredentials(
  settings: Pick<Settings, 'credentialsFile' | 'credentialsDir'>,
  env: Environment,
  openFile: (text: string) => unknown,
): MountedCredentials {
  const byName = new Map<string, MountedCredential>();
  const mistakes: InputIssue[] = [];
  const add = (source: CredentialSource, name: string, fields: unknown): void => {
    const place = `${source} ${name}`;
    if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) {
      mistakes.push({ path: place, message: 'expected the fields of a credential, such as ssh_username' });
      return;
    }
    const parsed = storeCredentialSchema.safeParse({ ...fields, name });
    if (parsed.success) byName.set(name, { source, credential: parsed.data });
    // the words of the schema name fields, never values
    else
      for (const { path, message } of parsed.error.issues)
        mistakes.push({ path: `${place}: ${path.join('.')}`, message });
  };
  const attempt = (path: string, read: () => void): void => {
    try {
      read();
    } catch {
      mistakes.push({ path, message: 'cannot be read' });
    }
  };

  for (const [variable, text] of Object.entries(env)) {
    const name = VARIABLE.exec(variable)?.[1]?.toLowerCase().replaceAll('_', '-');
    if (name !== undefined && text) attempt(variable, () => add('environment', name, JSON.parse(text)));
  }
  const { credentialsFile, credentialsDir } = settings;
  if (credentialsFile !== undefined) {
    attempt('CREDENTIALS_FILE', () => {
      const all = openFile(readFileSync(credentialsFile, 'utf8'));
      for (const [name, fields] of Object.entries(all as object)) add('file', name, fields);
    });
  }
  if (credentialsDir !== undefined) {
    attempt('CREDENTIALS_DIR', () => {
      // container platforms put links named ..data beside what they mount
      for (const name of readdirSync(credentialsDir).filter((entry) => !entry.startsWith('.')))
        if (credentialNameSchema.safeParse(name).success)
          add('folder', name, fieldsIn(join(credentialsDir, name)));
    });
  }
  return { byName, mistakes };
}

/** One file per field; others are not looked at. */
function fieldsIn(folder: string): Record<string, string> | undefined {
  const found = Object.keys(credentialFields).flatMap((field) => {
    const content = field === 'credential_ref' ? undefined : readSecretFile(join(folder, field));
    if (content === undefined) return [];
    // some readers of keys want the line end that other secrets must not have
    return [[field, field === 'ssh_private_key' ? `${content}\n` : content] as const];
  });
  return found.length === 0 ? undefined : Object.fromEntries(found);
}
