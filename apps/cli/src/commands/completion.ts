import type { Command } from 'commander';
import { askService } from '../completion/ask-service.js';
import { type Candidate, completionOf } from '../completion/candidates.js';
import { FILES_WORD, SCRIPTS, type Shell } from '../completion/scripts.js';
import { EXIT } from '../exit-codes.js';
import type { ProgramIo } from '../program-io.js';

const DESCRIPTION_CHARS = 60;
/** The characters at which bash parts words, as far as they occur in ours (its COMP_WORDBREAKS). */
const BASH_BREAKS = /^[=:]+$/;

/** `scanmq completion`. */
export function printCompletionScript(io: ProgramIo, shell: Shell): number {
  io.stdout.write(SCRIPTS[shell]);
  return EXIT.passed;
}

/**
 * `scanmq __complete`: what the scripts ask.
 * @param cursor index of the word that is being typed.
 * @param line words of the line, the name of the program first.
 */
export async function answerCompletion(
  io: ProgramIo,
  program: Command,
  shell: Shell,
  cursor: number,
  line: readonly string[],
): Promise<number> {
  const given = line.slice(0, cursor + 1);
  while (given.length <= cursor) given.push('');
  const { words, replaced } =
    shell === 'bash' ? joined(given) : { words: given, replaced: given.at(-1) ?? '' };
  const typed = words.at(-1) ?? '';
  const { files, candidates } = await completionOf(program, words.slice(1), (what) =>
    askService(io.env, what),
  );
  if (files) io.stdout.write(`${FILES_WORD}\n`);
  const [flag = ''] = /^--[^=]+=/.exec(typed) ?? [];
  // bash and zsh replace the value only, fish the whole word
  const kept = shell === 'fish' ? '' : flag;
  const behind = shell === 'bash' ? typed.length - replaced.length : kept.length;
  for (const { value, description } of candidates)
    io.stdout.write(`${lineOf({ value: `${flag}${value}`.slice(behind), description })}\n`);
  return EXIT.passed;
}

function lineOf({ value, description }: Candidate): string {
  const words = description.replace(/\p{C}+/gu, ' ').trim();
  return words === '' ? value : `${value}\t${words.slice(0, DESCRIPTION_CHARS)}`;
}

/** Puts together what bash has parted. @returns also what of the last word it replaces. */
function joined(parts: readonly string[]): { words: readonly string[]; replaced: string } {
  const words: string[] = [];
  let goesOn = false;
  for (const [index, part] of parts.entries()) {
    const isBreak = index > 0 && BASH_BREAKS.test(part);
    if (isBreak || goesOn) words.push(`${words.pop() ?? ''}${part}`);
    else words.push(part);
    goesOn = isBreak;
  }
  const last = parts.at(-1) ?? '';
  return { words, replaced: parts.length > 1 && BASH_BREAKS.test(last) ? '' : last };
}
