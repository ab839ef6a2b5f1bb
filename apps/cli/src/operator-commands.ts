/** Commands of operators and administrators: scanners, dead letters, stored credentials. */
import { ERROR_CODE_NAMES, ESCALATION_METHODS, OPERATOR_ACTIONS } from '@scanmq/contract';
import { type Command, Option } from 'commander';
import type { Client } from './client.js';
import { rotateCredentials, sealCredentials } from './commands/credential-keys.js';
import { addCredential, listCredentials, removeCredential } from './commands/credentials.js';
import {
  listDeadLetters,
  purgeDeadLetters,
  retryDeadLetters,
  showDeadLetter,
} from './commands/dead-letters.js';
import { runHousekeeping } from './commands/housekeeping.js';
import { listScanners, operateScanner } from './commands/scanners.js';
import type { ProgramIo } from './program-io.js';

// biome-ignore lint/suspicious/noExplicitAny: commander hands over what each command declares
type Action = (io: ProgramIo, client: Client, ...args: any[]) => Promise<number>;

const ACTION_WORDS = {
  enable: 'let it take tasks again',
  disable: 'let it take no task; one that asks for it is refused. Its scans go on to their end',
  drain: 'let it take no new task for now; its scans go on to their end',
} as const;

/** @param exits makes the exit code of an action that of the program. */
export function addOperatorCommands(
  program: Command,
  exits: (action: Action) => (...args: unknown[]) => Promise<void>,
): void {
  const scanners = program.command('scanners').description('the scanners, their health and load');
  scanners
    .command('list', { isDefault: true })
    .description('list them')
    .option('--pool <pool>', 'only those of this pool')
    .option('--json', 'print JSON')
    .action(exits(listScanners));
  for (const action of OPERATOR_ACTIONS)
    scanners
      .command(action)
      .description(ACTION_WORDS[action])
      .argument('<scanner>', 'pool:instance, or the instance')
      .option('--reason <text>', 'why, for the record')
      .option('--json', 'print JSON')
      .action(exits((io, client, scanner, options) => operateScanner(io, client, scanner, action, options)));

  const letters = program.command('dlq').description('dead letters: tasks that failed or ran out of time');
  const code = () => new Option('--code <code>', 'only with this error code').choices(ERROR_CODE_NAMES);
  letters
    .command('list', { isDefault: true })
    .description('list them, the newest first')
    .addOption(code())
    .option('--pool <pool>', 'only of this pool')
    .option('--limit <n>', 'how many', '20')
    .option('--json', 'print JSON')
    .action(exits(listDeadLetters));
  letters
    .command('show')
    .description('why, where, how often, and what the scanner said')
    .argument('<task_id>')
    .option('--json', 'print JSON')
    .action(exits(showDeadLetter));
  letters
    .command('retry')
    .description('run them again: some by id, or all that match')
    .argument('[task_ids...]')
    .addOption(code())
    .option('--pool <pool>', 'only of this pool')
    .option('--all', 'all of them')
    .option('--json', 'print JSON')
    .action(exits(retryDeadLetters));
  letters
    .command('purge')
    .description('remove them for good, with their files')
    .argument('[task_ids...]')
    .addOption(code())
    .option('--pool <pool>', 'only of this pool')
    .option('--all', 'all of them')
    .option('--json', 'print JSON')
    .action(exits(purgeDeadLetters));

  program
    .command('housekeeping')
    .description('what is past its retention: tells what would go, or removes it')
    .option('--apply', 'remove it')
    .option('--json', 'print JSON')
    .action(exits(runHousekeeping));

  const credentials = program
    .command('credentials')
    .description('stored credentials, for scans that name them (--credential)');
  credentials
    .command('list', { isDefault: true })
    .description('list them; secrets are never shown')
    .option('--json', 'print JSON')
    .action(exits(listCredentials));
  credentials
    .command('add')
    .description(
      'store one, or replace the one of this name; secrets are read from files, - is standard input',
    )
    .argument('<name>')
    .option('--description <text>', 'what it is for')
    .option('--ssh-username <name>')
    .option('--ssh-password-file <file>')
    .option('--ssh-key-file <file>', 'private key')
    .option('--ssh-key-passphrase-file <file>')
    .addOption(
      new Option('--elevate-with <method>', 'how to become a privileged user').choices(ESCALATION_METHODS),
    )
    .option('--escalation-account <name>', 'account to become (default: root)')
    .option('--escalation-password-file <file>')
    .option('--windows-username <name>')
    .option('--windows-password-file <file>')
    .option('--windows-domain <name>')
    .option('--json', 'print JSON')
    .action(exits(addCredential));
  credentials
    .command('remove')
    .description('remove one; tasks that name it fail when they come to log in')
    .argument('<name>')
    .option('--json', 'print JSON')
    .action(exits(removeCredential));
  credentials
    .command('seal')
    .description('make CREDENTIALS_FILE out of JSON: {"name": {"ssh_username": …}}; - is standard input')
    .argument('<file>')
    .requiredOption('-o, --output <file>', 'where to write it')
    .option('--json', 'print JSON')
    .action(exits((io, _, file, options) => sealCredentials(io, file, options)));
  credentials
    .command('rotate')
    .description('seal everything with CREDENTIALS_KEY that is sealed with one of CREDENTIALS_KEY_PREVIOUS')
    .option('--json', 'print JSON')
    .action(exits((io, _, options) => rotateCredentials(io, options)));
}
