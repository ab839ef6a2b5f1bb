import { createRequire } from 'node:module';
import { type Logger as PinoLogger, pino, stdTimeFunctions } from 'pino';
import type { prettyFactory } from 'pino-pretty';
import { describeErrors } from './describe-error.js';
import { hideFields } from './secret-fields.js';
import { createSecretValues, type SecretValues } from './secret-values.js';

export type Logger = PinoLogger;

export interface LoggerOptions {
  /** Program that logs: gateway, worker … */
  readonly name: string;
  readonly level: string;
  /** Readable lines instead of JSON; by default on a terminal. */
  readonly pretty?: boolean;
  /** Where lines go; stderr by default, because stdout belongs to what a command answers. */
  readonly destination?: { write(line: string): unknown };
}

// On the logger itself: the children that pino makes inherit it.
const SECRETS = Symbol('secret values of this logger and its children');

/**
 * The logger of a process: JSON lines, or readable ones on a terminal. Secrets are taken out twice, both times of the
 * finished line, so that nothing gets past: by the name of their field, and, for those given to `addSecret`, wherever
 * their value occurs.
 */
export function createLogger(options: LoggerOptions): Logger {
  const secrets = createSecretValues();
  const target = options.destination ?? process.stderr;
  const readable = options.pretty ?? (options.destination === undefined && process.stderr.isTTY === true);
  const layOut = readable
    ? loadPretty()({ colorize: options.destination === undefined, ignore: 'pid,hostname' })
    : (line: string) => line;
  const logger = pino(
    {
      name: options.name,
      level: options.level,
      timestamp: stdTimeFunctions.isoTime,
      base: { pid: process.pid },
      formatters: { level: (label) => ({ level: label }), log: describeFields },
      // pino's own would show everything that a library hung on its error
      serializers: { err: describeErrors },
    },
    { write: (line: string) => void target.write(layOut(`${secrets.hide(hideFields(line))}\n`)) },
  );
  // pino has no hook for the bindings of a child
  const { child } = logger;
  logger.child = function describingChild(this: Logger, bindings, childOptions) {
    return child.call(this, describeFields(bindings), childOptions);
  } as Logger['child'];
  return Object.assign(logger, { [SECRETS]: secrets });
}

/** Not loaded by a program whose log nobody reads while it is written. */
function loadPretty(): typeof prettyFactory {
  const pretty = createRequire(import.meta.url)('pino-pretty') as {
    readonly prettyFactory: typeof prettyFactory;
  };
  return pretty.prettyFactory;
}

function describeFields(fields: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, describeErrors(value)]));
}

/**
 * Hides a value in every line of this logger, of those it was made from and of all their children.
 * Values under 6 characters are not hidden: they are in every other word.
 * @returns ends it, for secrets that are known for a while only.
 */
export function addSecret(logger: Logger, value: string): () => void {
  return (logger as Logger & { readonly [SECRETS]?: SecretValues })[SECRETS]?.add(value) ?? (() => undefined);
}
