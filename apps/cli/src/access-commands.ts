/** Commands of whoever has the settings of the service at hand: keys, and the audit log. */
import { ROLES, TASK_SIGHTS } from '@scanmq/contract';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { ProgramIo } from './program-io.js';

// biome-ignore lint/suspicious/noExplicitAny: commander hands over what each command declares
type Action = (...args: any[]) => Promise<number>;

// loaded when they are asked for: client commands need neither Redis nor keys
const keyCommands = () => import('./commands/keys.js');
const auditCommands = () => import('./commands/audit.js');

/** @param exits makes the exit code of an action that of the program. */
export function addAccessCommands(
  program: Command,
  io: ProgramIo,
  exits: (action: Action) => (...args: unknown[]) => Promise<void>,
): void {
  const keys = program
    .command('keys')
    .description('API keys, made and revoked where they are kept: with the settings of the gateway');
  keys
    .command('create')
    .description('make a key; it is shown this once')
    .requiredOption('--name <name>', 'whose it is: keys of the same name are the same principal')
    .addOption(
      new Option('--role <role>', 'what it may: look, scan, or everything')
        .choices(ROLES)
        .makeOptionMandatory(),
    )
    .option('--expires <time>', 'when it ends: a number of days such as 90d, or a day such as 2027-01-31')
    .addOption(
      new Option(
        '--tasks <sight>',
        'whose tasks it sees (default: own for an operator, all for the others)',
      ).choices(TASK_SIGHTS),
    )
    .option('--pools <pools>', 'only these pools, comma separated')
    .option('--targets <targets>', 'only these: addresses, ranges, networks, names, .example.com')
    .option('--deny-targets <targets>', 'none of these')
    .option('--max-hosts <number>', 'hosts in one scan', toWhole)
    .option('--credentials <names>', 'only these stored credentials, and none of its own')
    .option('--templates <templates>', 'only these scan templates')
    .option(
      '--window <window>',
      'when it may submit, as "cron; hours; time zone", for example "0 22 * * 1-5; 8; Europe/Berlin"; several times for several',
      (text: string, before: readonly string[] = []) => [...before, text],
    )
    .option('--requests-per-minute <number>', 'how often it may ask', toWhole)
    .option('--scans-per-day <number>', 'how many scans it may submit', toWhole)
    .option('--json', 'print JSON')
    .action(exits(async (options) => (await keyCommands()).createApiKey(io, options)));
  keys
    .command('list', { isDefault: true })
    .description('list them, with their last use; the keys themselves are known to nobody')
    .option('--json', 'print JSON')
    .action(exits(async (options) => (await keyCommands()).listApiKeys(io, options)));
  keys
    .command('revoke')
    .description('have a key refused from now on, by every gateway')
    .argument('<key>', 'its id, how it begins, or its name')
    .option('--json', 'print JSON')
    .action(exits(async (key: string, options) => (await keyCommands()).revokeApiKey(io, key, options)));

  const audit = program.command('audit').description('the audit log: who changed what, and who was refused');
  audit
    .command('verify')
    .description('check that nothing in it was changed, removed or moved; exit code 1 where something was')
    .option('--file <file>', 'the log; AUDIT_FILE when left out')
    .option('--json', 'print JSON')
    .action(exits(async (options) => (await auditCommands()).verifyAudit(io, options)));
}

function toWhole(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('expected a whole number above 0');
  return value;
}
