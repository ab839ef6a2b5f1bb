import { type InputIssue, ScanmqError } from '@scanmq/contract';

/**
 * A broken configuration: every mistake at once, by name, with what was expected. Values are never repeated, since
 * they may be secret.
 */
export class ConfigError extends ScanmqError {
  /** Never empty. */
  declare readonly issues: readonly InputIssue[];
  /** What is broken: the environment, or a file by its path. */
  readonly subject: string;

  constructor(subject: string, issues: readonly InputIssue[]) {
    const [first] = issues;
    const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : '';
    super('invalid_request', `${subject}: ${first ? `${first.path}: ${first.message}` : 'broken'}${more}`, {
      issues,
    });
    this.subject = subject;
  }

  /** For a terminal: one line per mistake. */
  format(): string {
    const count = this.issues.length === 1 ? 'a mistake' : `${this.issues.length} mistakes`;
    return [
      `${this.subject} has ${count}:`,
      ...this.issues.map(({ path, message }) => `  ${path}: ${message}`),
    ].join('\n');
  }
}
