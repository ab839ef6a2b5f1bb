/** `scanmq webhooks`: signed notifications. */
import { SCAN_EVENTS } from '@scanmq/contract';
import { type Command, Option } from 'commander';
import type { Client } from './client.js';
import {
  createWebhook,
  enableWebhook,
  listDeliveries,
  listWebhooks,
  removeWebhook,
  replayDelivery,
  showWebhook,
  testWebhook,
} from './commands/webhooks.js';
import type { ProgramIo } from './program-io.js';

// biome-ignore lint/suspicious/noExplicitAny: commander hands over what each command declares
type Action = (io: ProgramIo, client: Client, ...args: any[]) => Promise<number>;

/** @param exits makes the exit code of an action that of the program. */
export function addWebhookCommands(
  program: Command,
  exits: (action: Action) => (...args: unknown[]) => Promise<void>,
): void {
  const webhooks = program
    .command('webhooks')
    .description('signed notifications of your scans')
    .showHelpAfterError('(scanmq webhooks --help lists the commands)');
  webhooks
    .command('list', { isDefault: true })
    .description('list them')
    .option('--json', 'print JSON')
    .action(exits(listWebhooks));
  webhooks
    .command('create')
    .description('have events of your scans posted to a URL')
    .argument('<url>', 'https; http only to networks of WEBHOOK_ALLOW_NETWORKS')
    .addOption(
      new Option('--events <events...>', 'which events; * stands for all')
        .choices(['*', ...SCAN_EVENTS])
        .default(['*']),
    )
    .option('--description <text>', 'what it is for')
    .option('--secret-file <file>', 'sign with this secret (whsec_…), - is standard input; else one is made')
    .option('--json', 'print JSON')
    .action(exits(createWebhook));
  for (const [name, what, action] of [
    ['show', 'show one, and whether it works', showWebhook],
    ['enable', 'let one go on that was disabled after long failure', enableWebhook],
    ['test', 'send a ping', testWebhook],
    ['remove', 'remove it, with its log of deliveries', removeWebhook],
  ] as const)
    webhooks
      .command(name)
      .description(what)
      .argument('<webhook_id>')
      .option('--json', 'print JSON')
      .action(exits(action));
  webhooks
    .command('deliveries')
    .description('what was sent and what came of it, the newest first')
    .argument('<webhook_id>')
    .option('--limit <n>', 'how many', '20')
    .option('--cursor <cursor>', 'next_cursor of the answer before')
    .option('--json', 'print JSON')
    .action(exits(listDeliveries));
  webhooks
    .command('replay')
    .description('send a delivery again, under the same message id')
    .argument('<webhook_id>')
    .argument('<delivery_id>')
    .option('--json', 'print JSON')
    .action(exits(replayDelivery));
}
