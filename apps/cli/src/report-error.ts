import { ConfigError } from '@scanmq/config';
import { type ErrorCode, type InputIssue, ScanmqError } from '@scanmq/contract';
import { CommanderError } from 'commander';
import { ServiceError } from './client.js';
import { EXIT } from './exit-codes.js';

/** What `--json` prints on standard error when a command fails. */
export interface ErrorDocument {
  readonly code: ErrorCode;
  readonly message: string;
  readonly errors: readonly InputIssue[];
  /** Of the request that failed, to find it in the logs of the service; null when it did not come that far. */
  readonly trace_id: string | null;
}

/** @returns undefined for what is no error: help and version end a command this way. */
export function documentOf(error: unknown): ErrorDocument | undefined {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return undefined;
    return {
      code: 'invalid_request',
      message: error.message.replace(/^error: /, ''),
      errors: [],
      trace_id: null,
    };
  }
  if (error instanceof ScanmqError)
    return {
      code: error.code,
      message: error.message,
      errors: error.issues ?? [],
      trace_id: error instanceof ServiceError ? error.traceId : null,
    };
  return {
    code: 'internal',
    message: `unexpected error: ${error instanceof Error ? error.message : String(error)}`,
    errors: [],
    trace_id: null,
  };
}

/** The same for people. */
export function wordsOf(error: unknown): string {
  // commander has printed its own message already
  if (error instanceof CommanderError) return '';
  if (error instanceof ConfigError) return `${error.format()}\n`;
  const { message = '', errors = [] } = documentOf(error) ?? {};
  const lines = errors.length > 1 ? errors.map((issue) => `  ${issue.path}: ${issue.message}`) : [];
  return `${[`scanmq: ${message}`, ...lines].join('\n')}\n`;
}

export function exitCodeOf(error: unknown): number {
  const document = documentOf(error);
  if (!document) return EXIT.passed;
  return document.code === 'invalid_request' ? EXIT.usage : EXIT.unreachable;
}
