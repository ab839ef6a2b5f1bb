import { readFileSync } from 'node:fs';
import {
  COMPARISON_STATUSES,
  OVERLAPS,
  PRIORITIES,
  RESULT_PROFILES,
  SCAN_TYPES,
  TASK_STATES,
} from '@scanmq/contract';
import type { PRODUCTS as SIMULATED } from '@scanmq/simulator';
import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { addAccessCommands } from './access-commands.js';
import { createClient } from './client.js';
import { answerCompletion, printCompletionScript } from './commands/completion.js';
import { runGate, scanAndJudge } from './commands/gate.js';
import { runList } from './commands/list.js';
import { runCompare, runImport } from './commands/results.js';
import {
  cancelScan,
  controlScan,
  FILE_FORMATS,
  PATIENCE_SECONDS,
  printResults,
  runScan,
  showStatus,
} from './commands/scans.js';
import {
  createSchedule,
  listSchedules,
  removeSchedule,
  runScheduleNow,
  showSchedule,
  switchSchedule,
} from './commands/schedules.js';
import { SHELLS, type Shell } from './completion/scripts.js';
import { AREAS, type Area } from './doctor/areas.js';
import { addGateOptions, wantsGate, wantsReports } from './gate-options.js';
import { addOperatorCommands } from './operator-commands.js';
import type { ProgramIo } from './program-io.js';
import { addWebhookCommands } from './webhook-commands.js';

export const VERSION: string = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

const PATIENCE = `wait this long for a service that is away (default: ${PATIENCE_SECONDS})`;

/** The simulator is loaded when it is started only; the compiler sees that this is its list. */
const PRODUCTS: Readonly<Record<(typeof SIMULATED)[number], true>> = {
  manager: true,
  professional: true,
  expert: true,
  essentials: true,
  tenable_vm: true,
};

/** Whether these arguments ask for JSON, also where they are not valid otherwise. */
export function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return (end < 0 ? args : args.slice(0, end)).includes('--json');
}

export interface Program {
  /** The definitions of all commands. */
  readonly command: Command;
  /** @returns the exit code of the process. */
  run(args: readonly string[]): Promise<number>;
}

/** The `scanmq` command. What only some of its commands need is loaded by them: each of them would wait for it. */
export function createProgram(io: ProgramIo): Program {
  let exitCode = 0;
  let json = false;
  const exits =
    <A extends unknown[]>(action: (...args: A) => Promise<number>) =>
    async (...args: A): Promise<void> => {
      exitCode = await action(...args);
    };
  const client = () => createClient(io.env);

  const program = new Command('scanmq')
    .description('Queues and runs Nessus vulnerability scans.')
    .version(VERSION)
    .exitOverride()
    .configureOutput({
      // with --json the error is a document, which is printed by whoever runs us
      writeErr: (text) => void (json || io.stderr.write(text)),
    })
    .showHelpAfterError('(scanmq --help lists the commands)')
    .addHelpText(
      'after',
      `
Services read their settings from the environment or .env (see .env.example); client commands talk to SCANMQ_URL
(http://127.0.0.1:8835). Exit codes: 0 passed, 1 the gate failed, 2 usage, 3 the scan failed, timed out or was
cancelled, 4 the service could not be reached or refused, 5 the gate could not judge, 130 following was stopped by
Ctrl-C and the scan goes on. With --json, standard output has JSON only, and an error is one JSON document on standard
error: code, message, errors, trace_id.

New here? "scanmq demo" shows everything at work; "scanmq doctor" tells what a machine still needs.`,
    );

  program.commandsGroup('Start:');

  program
    .command('demo')
    .description('start everything against the bundled simulator, run one scan, and stay up until Ctrl-C')
    .option(
      '--port <port>',
      'port of the gateway (default: 8835, or any free one when that is taken)',
      toPort,
    )
    .option('--scan-seconds <seconds>', 'how long the simulated scan takes', toNumber, 20)
    .option('--once', 'end after the scan instead of staying up')
    .action(
      exits((options: { port?: number; scanSeconds: number; once?: boolean }) =>
        import('./commands/demo.js').then(({ runDemo }) => runDemo(io, { version: VERSION, ...options })),
      ),
    );

  program
    .command('gateway')
    .description('start the HTTP process: MCP, REST, dashboard')
    .action(exits(async () => await (await import('./commands/services.js')).runGateway(io, VERSION)));
  program
    .command('worker')
    .description('start a scan process')
    .action(exits(async () => await (await import('./commands/services.js')).runWorker(io, VERSION)));
  program
    .command('restore')
    .description('restore the records of tasks from the store of the results, after Redis was lost')
    .option('--apply', 'restore them; otherwise only tell what would be restored')
    .option('--json', 'print JSON')
    .action(exits(async (options) => await (await import('./commands/restore.js')).runRestore(io, options)));
  program
    .command('mcp')
    .description('speak MCP on standard input and output, for agents that start their servers')
    .action(exits(async () => await (await import('./commands/mcp.js')).runMcp(io, client().url)));
  program
    .command('simulator')
    .description('start a simulated Nessus server on 127.0.0.1, for development and demonstrations')
    .option('--port <port>', 'HTTPS port (0 = any free)', toPort, 8834)
    .option('--control-port <port>', 'port of the control address, plain HTTP (0 = any free)', toPort, 8833)
    .addOption(
      new Option('--product <product>', 'which product to behave like')
        .choices(Object.keys(PRODUCTS))
        .default('manager'),
    )
    .option('--username <name>', 'user that may log in', 'simulator')
    .option('--password <password>', 'password of that user (default: a random one, printed)')
    .option('--scan-seconds <seconds>', 'how long a scan takes', toNumber, 60)
    .option('--sample <file...>', '.nessus or .nessus.gz files to replay instead of the bundled ones')
    .option(
      '--certificate-dir <directory>',
      'keep its certificate there, as certificate.pem and key.pem: for NESSUS_CA_FILE, and the same after a restart',
    )
    .option('--json', 'print one line of JSON when it listens')
    .option('--faults', 'list the faults that its control address can switch on, and end')
    .action(
      exits(async (options) => await (await import('./commands/simulator.js')).runSimulator(io, options)),
    );

  program.commandsGroup('Scans and results:');
  const scan = program
    .command('scan')
    .description('submit a scan; with options of the gate, judge it as well')
    .argument('[targets...]', 'addresses, ranges, networks or host names')
    .option('--targets <targets>', 'the same, as one text')
    .option('--name <name>', 'name of the scan (default: what it scans)')
    .option('--description <text>', 'why this scan is made')
    .option('--pool <pool>', 'pool of scanners')
    .option('--instance <instance>', 'one instance of the pool')
    .option('--template <template>', 'Nessus template')
    .addOption(new Option('--priority <priority>', 'who waits for whom').choices(PRIORITIES))
    .option('--timeout-hours <hours>', 'stop the scan after this many hours', toNumber)
    .addOption(new Option('--scan-type <type>', 'whether and how to log in').choices(SCAN_TYPES))
    .option('--credential <name>', 'log in with this stored credential')
    .option('--coalesce', 'join an identical task that still waits and was submitted with this too')
    .option('--idempotency-key <key>', 'repeating the command with the same key starts no second scan')
    .option(
      '--wait',
      'follow the scan until it has ended; so do the options of the gate. Ctrl-C cancels it, twice leaves it running',
    )
    .option('--patience <seconds>', PATIENCE, toNumber)
    .option('--json', 'print JSON');
  addGateOptions(scan).action(
    exits((targets: string[], options) =>
      (wantsGate(options) || wantsReports(options) ? scanAndJudge : runScan)(io, client(), targets, options),
    ),
  );

  const gate = program
    .command('gate')
    .description('judge a completed scan: exit code 0 passed, 1 failed, 5 could not judge')
    .argument('<task_id>')
    .option('--wait', 'follow the scan until it has ended')
    .option('--patience <seconds>', PATIENCE, toNumber)
    .option('--json', 'print JSON');
  addGateOptions(gate).action(exits((taskId: string, options) => runGate(io, client(), taskId, options)));

  program
    .command('status')
    .description('show one task')
    .argument('<task_id>')
    .option('--wait', 'follow the scan until it has ended; Ctrl-C stops following')
    .option('--patience <seconds>', PATIENCE, toNumber)
    .option('--json', 'print JSON')
    .action(exits((taskId: string, options) => showStatus(io, client(), taskId, options)));

  program
    .command('list')
    .description('list tasks, the newest first')
    .addOption(new Option('--status <status>', 'only tasks in this state').choices(TASK_STATES))
    .option('--pool <pool>', 'only tasks of this pool')
    .option('--principal <name>', 'only tasks that this one submitted')
    .option('--target <target>', 'only tasks that overlap this address, range or network, or have this name')
    .option('--created-after <time>', 'only tasks created at this time or later, for example 2026-11-23')
    .option('--created-before <time>', 'only tasks created before this time')
    .option('--limit <number>', 'how many', toNumber, 20)
    .option('--cursor <cursor>', 'next_cursor of the answer before')
    .option('--json', 'print JSON')
    .action(exits((options) => runList(io, client(), options)));

  program
    .command('cancel')
    .description('cancel a task that waits or runs; its scan is stopped on the scanner')
    .argument('<task_id>')
    .option('--reason <text>', 'why, for the record')
    .option('--keep-results', 'keep what the scanner has found until now, as partial results')
    .option('--json', 'print JSON')
    .action(exits((taskId: string, options) => cancelScan(io, client(), taskId, options)));
  for (const [action, what] of [
    [
      'pause',
      'hold a task: one that waits is not served, the scan of one that runs is paused on the scanner',
    ],
    ['resume', 'let a held task go on'],
    ['retry', 'run a failed, timed out or cancelled task again'],
  ] as const)
    program
      .command(action)
      .description(what)
      .argument('<task_id>')
      .option('--json', 'print JSON')
      .action(exits((taskId: string, options) => controlScan(io, client(), taskId, action, options)));

  program
    .command('results')
    .description('print the findings of a completed task')
    .argument('<task_id>')
    .addOption(new Option('--profile <profile>', 'which fields').choices(RESULT_PROFILES))
    .option('--fields <fields>', 'exactly these fields, comma separated')
    .option('--filter <json>', 'filters as JSON, for example \'{"severity":">=high"}\'')
    .option('--sort <fields>', 'fields to sort by, comma separated, - for descending')
    .option('--json', 'print one JSON document per finding instead of a table')
    .addOption(new Option('--format <format>', 'a file for another program, or people').choices(FILE_FORMATS))
    .option('--output <file>', 'where to write it; standard output when left out')
    .action(exits((taskId: string, options) => printResults(io, client(), taskId, options)));

  program
    .command('import')
    .description("bring in results: a .nessus file, or a scan made in a scanner's own interface")
    .argument('[file]', 'a .nessus export')
    .option('--scanner <scanner>', 'scanner that has the scan: pool:instance, or the instance')
    .option('--scan-id <id>', 'id of the scan on it', toNumber)
    .option('--history-id <id>', 'run of the scan; the latest finished one when left out', toNumber)
    .option('--name <name>', 'name of the task')
    .option('--description <text>', 'why this is imported')
    .option('--idempotency-key <key>', 'repeating the command with the same key imports nothing twice')
    .option('--wait', 'wait until the results are read')
    .option('--json', 'print JSON')
    .action(exits((file: string | undefined, options) => runImport(io, client(), file, options)));

  program
    .command('compare')
    .description('what changed between two completed tasks')
    .argument('<base_task_id>', 'the older one')
    .argument('<head_task_id>', 'the newer one')
    .option('--severity <severity>', 'only these, for example ">=high"')
    .addOption(new Option('--status <status>', 'only items of this kind').choices(COMPARISON_STATUSES))
    .option('--json', 'print JSON')
    .action(exits((base: string, head: string, options) => runCompare(io, client(), base, head, options)));

  const schedules = program
    .command('schedules')
    .description('recurring scans')
    .showHelpAfterError('(scanmq schedules --help lists the commands)');
  schedules
    .command('list')
    .description('list them, with the next run of each')
    .option('--json', 'print JSON')
    .action(exits((options) => listSchedules(io, client(), options)));
  schedules
    .command('show')
    .description('show one, with what came of its last run')
    .argument('<schedule_id>')
    .option('--json', 'print JSON')
    .action(exits((id: string, options) => showSchedule(io, client(), id, options)));
  schedules
    .command('create')
    .description('have a scan submitted again and again')
    .argument('[targets...]', 'addresses, ranges, networks or host names')
    .option('--targets <targets>', 'the same, as one text')
    .requiredOption('--name <name>', 'name of the scan')
    .option('--schedule-name <name>', 'name of the schedule; that of the scan when left out')
    .option('--cron <expression>', 'when, as a cron expression, for example "30 2 * * 1-5"')
    .option(
      '--time-zone <zone>',
      'time zone of the cron expression, for example Europe/Berlin (default: UTC)',
    )
    .option('--every <interval>', 'how often: minutes, or with a unit, for example 90, 12h or 7d', toMinutes)
    .addOption(
      new Option(
        '--overlap <policy>',
        'when the scan before has not ended: skip the run, queue it, or replace',
      ).choices(OVERLAPS),
    )
    .option('--description <text>', 'why this scan is made')
    .option('--pool <pool>', 'pool of scanners')
    .option('--instance <instance>', 'one instance of the pool')
    .option('--template <template>', 'Nessus template')
    .addOption(new Option('--priority <priority>', 'who waits for whom').choices(PRIORITIES))
    .option('--timeout-hours <hours>', 'stop each scan after this many hours', toNumber)
    .addOption(new Option('--scan-type <type>', 'whether and how to log in').choices(SCAN_TYPES))
    .option('--credential <name>', 'log in with this stored credential')
    .option('--json', 'print JSON')
    .action(exits((targets: string[], options) => createSchedule(io, client(), targets, options)));
  for (const [action, what] of [
    ['pause', 'let it submit nothing until it is resumed'],
    ['resume', 'let it go on, from its next time'],
  ] as const)
    schedules
      .command(action)
      .description(what)
      .argument('<schedule_id>')
      .option('--json', 'print JSON')
      .action(exits((id: string, options) => switchSchedule(io, client(), id, action, options)));
  schedules
    .command('remove')
    .description('remove it; scans that it submitted go on')
    .argument('<schedule_id>')
    .option('--json', 'print JSON')
    .action(exits((id: string, options) => removeSchedule(io, client(), id, options)));
  schedules
    .command('run')
    .description('submit its scan now, beside its next run')
    .argument('<schedule_id>')
    .option('--idempotency-key <key>', 'repeating the command with the same key starts no second scan')
    .option('--json', 'print JSON')
    .action(exits((id: string, options) => runScheduleNow(io, client(), id, options)));

  program.commandsGroup('Operate:');
  addWebhookCommands(program, (action) => exits(async (...args) => await action(io, client(), ...args)));
  addOperatorCommands(program, (action) => exits(async (...args) => await action(io, client(), ...args)));

  addAccessCommands(program, io, exits);

  program.commandsGroup('This machine:');
  program
    .command('doctor')
    .description(
      'check Redis, settings, scanners, licences, disk, clocks, and say what to do about each problem',
    )
    .addOption(
      new Option('--only <areas...>', 'only these, comma separated')
        .choices(AREAS)
        .argParser((text, before: Area[] | undefined) => [...(before ?? []), ...toAreas(text)]),
    )
    .option('--json', 'print JSON')
    .action(
      exits(async (options) =>
        (await import('./commands/doctor.js')).runDoctor(io, { version: VERSION, ...options }),
      ),
    );
  program
    .command('completion')
    .description('print a script that lets a shell complete commands, options, their values and ids of tasks')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .addHelpText(
      'after',
      `
bash: source <(scanmq completion bash)         in ~/.bashrc
zsh:  source <(scanmq completion zsh)          in ~/.zshrc, after compinit
fish: scanmq completion fish > ~/.config/fish/completions/scanmq.fish`,
    )
    .action(exits(async (shell: Shell) => printCompletionScript(io, shell)));
  program
    .command('__complete', { hidden: true })
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .argument('<cursor>', '', Number)
    .argument('[words...]')
    .action(
      exits((shell: Shell, cursor: number, words: string[]) =>
        answerCompletion(io, program, shell, cursor, words),
      ),
    );

  return {
    command: program,
    async run(args) {
      json = wantsJson(args);
      await program.parseAsync([...args], { from: 'user' });
      return exitCode;
    },
  };
}

function toNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0)
    throw new InvalidArgumentError('expected a number above 0');
  return value;
}

const MINUTES: Readonly<Record<string, number>> = { s: 1 / 60, m: 1, h: 60, d: 24 * 60 };

function toMinutes(text: string): number {
  const [, number = '', unit = 'm'] = /^(\d+(?:\.\d+)?)([smhd]?)$/.exec(text.trim()) ?? [];
  const minutes = Number(number) * (MINUTES[unit || 'm'] ?? Number.NaN);
  if (number === '' || !Number.isFinite(minutes) || minutes <= 0)
    throw new InvalidArgumentError('expected a number of minutes, or a number with s, m, h or d');
  return minutes;
}

function toAreas(text: string): readonly Area[] {
  return text.split(',').map((part) => {
    const area = AREAS.find((one) => one === part.trim());
    if (area) return area;
    throw new InvalidArgumentError(`expected some of ${AREAS.join(', ')}`);
  });
}

function toPort(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 65_535)
    throw new InvalidArgumentError('expected a port, 0 to 65535');
  return value;
}
