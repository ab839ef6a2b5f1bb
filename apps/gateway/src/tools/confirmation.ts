import { ScanmqError } from '@scanmq/contract';

/** A scan that is out of the ordinary, and has to be confirmed before it is queued. */
export class ConfirmationRequiredError extends ScanmqError {
  /** For the user, where the client can ask; with the targets as they are resolved. */
  readonly question: string | undefined;
  /** Carries the plan out, once the user has agreed. */
  readonly planToken: string | undefined;

  constructor(message: string, next: string, question?: string, planToken?: string) {
    super('confirmation_required', message, { next });
    this.question = question;
    this.planToken = planToken;
  }

  static declined(): ConfirmationRequiredError {
    return new ConfirmationRequiredError(
      'The user did not confirm this scan; nothing was queued.',
      'Ask the user what to scan instead.',
    );
  }
}
