/** What may stand at the end of a line that begins so, out of the definitions of the commands. */
import type { Argument, Command, Option } from 'commander';

export interface Candidate {
  readonly value: string;
  readonly description: string;
}

/** What the service knows by name: the name of the placeholder in the definition of a command. */
export const ASKED = ['task_id', 'schedule_id', 'scanner', 'pool'] as const;
export type Asked = (typeof ASKED)[number];

export interface Completion {
  /** The shell completes names of files itself. */
  readonly files: boolean;
  readonly candidates: readonly Candidate[];
}

const NOTHING: Completion = { files: false, candidates: [] };
/** Placeholders that mean the same: several, the one before, the one after. */
const ALIASES: Readonly<Record<string, Asked>> = {
  task_ids: 'task_id',
  base_task_id: 'task_id',
  head_task_id: 'task_id',
};

/**
 * @param words of the line after the name of the program; the last one is what is being typed, maybe empty.
 * @param ask the service for what it knows; nothing where it is away.
 */
export async function completionOf(
  program: Command,
  words: readonly string[],
  ask: (what: Asked) => Promise<readonly Candidate[]>,
): Promise<Completion> {
  const typed = words.at(-1) ?? '';
  const place = placeAfter(program, words.slice(0, -1));
  const begins = ({ candidates, files }: Completion, text: string): Completion => ({
    files,
    candidates: candidates.filter(({ value }) => value.startsWith(text)),
  });

  if (place.waiting) return begins(await valuesOf(place.waiting, ask), typed);
  const [, flag, value] = /^(--[^=]+)=(.*)$/s.exec(typed) ?? [];
  if (flag !== undefined && value !== undefined && !place.operandsOnly) {
    const option = optionOf(place.command, flag);
    return option ? begins(await valuesOf(option, ask), value) : NOTHING;
  }
  if (typed.startsWith('-') && !place.operandsOnly) return begins(optionsOf(place), typed);
  const { command, operands } = place;
  if (operands === 0 && command.commands.length > 0) {
    const candidates = command
      .createHelp()
      .visibleCommands(command)
      .map((one) => ({ value: one.name(), description: one.description() }));
    return begins({ files: false, candidates }, typed);
  }
  const last = command.registeredArguments.at(-1);
  const argument = command.registeredArguments[operands] ?? (last?.variadic ? last : undefined);
  return argument ? begins(await valuesOf(argument, ask), typed) : NOTHING;
}

/** Where a line is after some of its words. */
interface Place {
  readonly command: Command;
  /** Operands that the command has already. */
  readonly operands: number;
  /** Flags that were given. */
  readonly given: ReadonlySet<Option>;
  /** The option whose value comes next. */
  readonly waiting: Option | undefined;
  /** After `--`. */
  readonly operandsOnly: boolean;
}

function placeAfter(program: Command, words: readonly string[]): Place {
  let command = program;
  let operands = 0;
  let waiting: Option | undefined;
  let operandsOnly = false;
  const given = new Set<Option>();
  for (const word of words) {
    if (waiting !== undefined && !(waiting.variadic && word.startsWith('-'))) {
      if (!waiting.variadic) waiting = undefined;
      continue;
    }
    waiting = undefined;
    if (operandsOnly) operands += 1;
    else if (word === '--') operandsOnly = true;
    else if (word.startsWith('-')) {
      const [flag = word] = word.split('=');
      const option = optionOf(command, flag);
      if (!option) continue;
      given.add(option);
      if (option.required && flag === word) waiting = option;
    } else {
      const inner: Command | undefined =
        operands === 0
          ? command.commands.find((one) => one.name() === word || one.alias() === word)
          : undefined;
      if (inner) {
        command = inner;
        given.clear();
      } else operands += 1;
    }
  }
  return { command, operands, given, waiting, operandsOnly };
}

function optionOf(command: Command, flag: string): Option | undefined {
  return command.options.find((option) => option.long === flag || option.short === flag);
}

function optionsOf({ command, given }: Place): Completion {
  const candidates = command
    .createHelp()
    .visibleOptions(command)
    .filter((option) => option.variadic || !given.has(option))
    .flatMap((option) =>
      option.long === undefined ? [] : [{ value: option.long, description: option.description }],
    );
  return { files: false, candidates };
}

async function valuesOf(
  what: Option | Argument,
  ask: (what: Asked) => Promise<readonly Candidate[]>,
): Promise<Completion> {
  if (what.argChoices)
    return { files: false, candidates: what.argChoices.map((value) => ({ value, description: '' })) };
  const placeholder = 'flags' in what ? /[<[](\w+)(?:\.\.\.)?[>\]]/.exec(what.flags)?.[1] : what.name();
  if (placeholder === 'file') return { files: true, candidates: [] };
  const asked = ASKED.find((one) => one === placeholder) ?? ALIASES[placeholder ?? ''];
  return asked ? { files: false, candidates: await ask(asked) } : NOTHING;
}
