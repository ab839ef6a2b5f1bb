/** Commands of whoever runs the service: they need its settings, and ask nobody over the network but Redis. */
import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { readSettings, type Settings } from '@scanmq/config';
import { ScanmqError, storeCredentialSchema } from '@scanmq/contract';
import { z } from 'zod';
import { EXIT } from '../exit-codes.js';
import type { ProgramIo } from '../program-io.js';

const REDIS_WAIT_MS = 10_000;

// what speaks to Redis is loaded by those who need it: a client command would wait for what it never uses

/** `scanmq credentials seal`: makes CREDENTIALS_FILE out of a mapping from names to fields. */
export async function sealCredentials(
  io: ProgramIo,
  file: string,
  options: { readonly output: string; readonly json?: boolean },
): Promise<number> {
  const { sealCredentialsFile } = await import('@scanmq/queue');
  const key = keyOf(readSettings(io.env));
  const fields = z.record(z.string(), z.record(z.string(), z.unknown())).safeParse(readJson(file));
  if (!fields.success) {
    throw new ScanmqError(
      'invalid_request',
      `${file} is no mapping from names to fields such as ssh_username.`,
    );
  }
  const issues = Object.entries(fields.data).flatMap(([name, entry]) =>
    (storeCredentialSchema.safeParse({ ...entry, name }).error?.issues ?? []).map(({ path, message }) => ({
      path: [name, ...path].join('.'),
      message,
    })),
  );
  if (issues.length > 0)
    throw new ScanmqError('invalid_request', `${file} has ${issues.length} mistakes.`, { issues });
  replaceFile(options.output, sealCredentialsFile(fields.data, key));
  const names = Object.keys(fields.data);
  io.stdout.write(
    options.json
      ? `${JSON.stringify({ sealed: names, output: options.output })}\n`
      : `${names.length} credentials are sealed in ${options.output}. Remove ${file}, which is readable.\n`,
  );
  return EXIT.passed;
}

/** `scanmq credentials rotate`: seals everything with CREDENTIALS_KEY that is sealed with one of CREDENTIALS_KEY_PREVIOUS. */
export async function rotateCredentials(
  io: ProgramIo,
  options: { readonly json?: boolean },
): Promise<number> {
  const { openQueueSystem, resealCredentialsFile } = await import('@scanmq/queue');
  const { openResultStore } = await import('@scanmq/store');
  const settings = readSettings(io.env);
  const ring = [keyOf(settings), ...settings.credentialsKeysPrevious];
  const store = await openResultStore(settings);
  const queue = await openQueueSystem({
    settings,
    store,
    role: 'gateway',
    connectWaitMs: REDIS_WAIT_MS,
    onError: (what, error) =>
      io.stderr.write(`${what}: ${error instanceof Error ? error.message : String(error)}\n`),
    onWarning: (message) => io.stderr.write(`${message}\n`),
    onWaiting: (message) => io.stderr.write(`${message}\n`),
  });
  try {
    const report = await queue.reseal();
    const { credentialsFile: file } = settings;
    const renewed = file === undefined ? undefined : resealCredentialsFile(readText(file), ring);
    if (file !== undefined && renewed !== undefined) replaceFile(file, renewed);
    const all = { ...report, file: renewed !== undefined };
    io.stdout.write(
      options.json
        ? `${JSON.stringify(all)}\n`
        : `Sealed anew: credentials of ${report.tasks} tasks, ${report.stored} stored ones, secrets of ${report.webhooks} webhooks${all.file ? `, and ${file}` : ''}. Already with the key of today: ${report.current}.\n`,
    );
    if (report.unreadable.length === 0) return EXIT.passed;
    io.stderr.write(
      `Sealed with a key that is neither CREDENTIALS_KEY nor in CREDENTIALS_KEY_PREVIOUS: ${report.unreadable.join(', ')}\n`,
    );
    return EXIT.unreachable;
  } finally {
    await queue.close();
    await store.close();
  }
}

function keyOf(settings: Pick<Settings, 'credentialsKey'>): Buffer {
  if (settings.credentialsKey) return settings.credentialsKey;
  throw new ScanmqError('invalid_request', 'Set CREDENTIALS_KEY; make one with: openssl rand -base64 32');
}

function readText(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch {
    throw new ScanmqError('invalid_request', `There is no readable file ${file}.`);
  }
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readText(file));
  } catch (error) {
    if (error instanceof ScanmqError) throw error;
    // the words of the parser quote the text
    throw new ScanmqError('invalid_request', `${file} is not JSON.`);
  }
}

/** By rename: a worker reads the old file or the new one. Its owner alone may read it, unless it could be read by others before. */
function replaceFile(file: string, text: string): void {
  const temporary = `${file}.new`;
  const mode = statSync(file, { throwIfNoEntry: false })?.mode ?? 0o600;
  writeFileSync(temporary, text, { mode: mode & 0o777 });
  renameSync(temporary, file);
}
