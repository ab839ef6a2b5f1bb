import { type Logger as PinoLogger, pino, stdTimeFunctions } from 'pino';
import pretty from 'pino-pretty';
import { redactFields, redactLine } from './redaction.js';

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

/**
 * The logger of a process: JSON lines, or readable ones on a terminal. Secrets are taken out twice: by the name of
 * their field, and, for those registered with `registerSecret`, wherever their value occurs in a line.
 */
export function createLogger(options: LoggerOptions): Logger {
  const target = options.destination ?? process.stderr;
  const readable = options.pretty ?? (options.destination === undefined && process.stderr.isTTY === true);
  const sink = readable
    ? pretty({ colorize: true, destination: process.stderr, sync: true, ignore: 'pid,hostname' })
    : target;
  return pino(
    {
      name: options.name,
      level: options.level,
      timestamp: stdTimeFunctions.isoTime,
      base: { pid: process.pid },
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: redactFields },
    },
    // on the finished line, so that nothing gets past: neither bindings of child loggers nor texts
    { write: (line: string) => void sink.write(redactLine(line)) },
  );
}
