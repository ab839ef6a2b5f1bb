import { type InputIssue, ScanmqError } from '@scanmq/contract';

/** A broken configuration: every mistake at once, by name, with what was expected. Values are not repeated: they may be secret. */
export class ConfigError extends ScanmqError {
  constructor(what: string, issues: readonly InputIssue[]) {
    const listed = issues.map(({ path, message }) => `  ${path}: ${message}`).join('\n');
    super(
      'invalid_request',
      `${what} ${issues.length === 1 ? 'has a mistake' : `has ${issues.length} mistakes`}:\n${listed}`,
      { issues },
    );
  }
}
