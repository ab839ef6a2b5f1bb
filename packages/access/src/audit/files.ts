/**
 * The files of an audit log. Each process writes a chain of its own: the first takes `audit.log`, one that runs beside
 * it `audit-2.log`, and so on; whoever comes later goes on with a chain that nobody holds. A file that is full is put
 * aside as `audit.log.000001`, and the chain goes on in a new one.
 */
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';

const NUMBER_DIGITS = 6;

/** The file of a slot; the first is 1. */
export function slotFile(file: string, slot: number): string {
  const extension = extname(file);
  return slot === 1 ? file : `${file.slice(0, file.length - extension.length)}-${slot}${extension}`;
}

/** Every slot that has files, in order. */
export async function slotsOf(file: string): Promise<readonly string[]> {
  const extension = extname(file);
  const stem = basename(file, extension);
  const pattern = new RegExp(
    `^${literally(stem)}(?:-(\\d{1,6}))?${literally(extension)}(?:\\.\\d{${NUMBER_DIGITS},})?$`,
  );
  const slots = new Set<number>();
  for (const name of await namesIn(dirname(file))) {
    const match = pattern.exec(name);
    if (match) slots.add(Number(match[1] ?? 1));
  }
  return [...slots].sort((a, b) => a - b).map((slot) => slotFile(file, slot));
}

/** What was put aside of one slot, the oldest first. */
export async function segmentsOf(file: string): Promise<readonly string[]> {
  const prefix = `${basename(file)}.`;
  const numbers = (await namesIn(dirname(file)))
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .map((name) => name.slice(prefix.length))
    .filter((digits) => digits.length >= NUMBER_DIGITS)
    .sort((a, b) => Number(a) - Number(b));
  return numbers.map((digits) => join(dirname(file), `${prefix}${digits}`));
}

/** Name under which the next full file of a slot is put aside. */
export async function nextSegment(file: string): Promise<string> {
  const last = (await segmentsOf(file)).at(-1);
  const number = last === undefined ? 1 : Number(extname(last).slice(1)) + 1;
  return `${file}.${String(number).padStart(NUMBER_DIGITS, '0')}`;
}

export async function sizeOf(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

/** A text as a pattern that matches itself. */
function literally(text: string): string {
  return text.replace(/[^A-Za-z0-9]/g, '\\$&');
}
