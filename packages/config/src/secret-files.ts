/** Secrets that come as files: what container platforms mount, and what no other user of the machine can read. */
import { closeSync, openSync, readSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Environment } from './types.js';
import { SECRET_VARIABLES } from './variables.js';

/** More is no secret, but another file by mistake. */
const MOST_BYTES = 64 * 1024;

/** The content of a file without the one line end that belongs to the file. @returns undefined when it cannot be read, or is no file of a secret. */
export function readSecretFile(path: string): string | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const bytes = Buffer.alloc(MOST_BYTES + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read)
      read = readSync(file, bytes, length, bytes.length - length, null);
    return length > MOST_BYTES ? undefined : bytes.toString('utf8', 0, length).replace(/\r?\n$/, '');
  } catch {
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/**
 * The environment with every `X_FILE` of a secret read into `X`, where that is not given itself. Read anew each time, so
 * that a secret may change.
 * @param report told of a file that cannot be read.
 */
export function withSecretFiles(
  env: Environment,
  report: (path: string, message: string) => void,
): Environment {
  const read: Record<string, string> = {};
  for (const name of SECRET_VARIABLES) {
    const path = env[`${name}_FILE`]?.trim();
    if (env[name]?.trim() || path === undefined || path === '') continue;
    const content = readSecretFile(resolve(path));
    if (content === undefined) report(name, `the file of ${name}_FILE cannot be read`);
    else read[name] = content;
  }
  return Object.keys(read).length === 0 ? env : { ...env, ...read };
}

/** Secrets that are given twice. */
export function givenTwice(env: Environment): readonly string[] {
  return SECRET_VARIABLES.filter((name) => env[name]?.trim() && env[`${name}_FILE`]?.trim());
}
