/**
 * One family of errors. Thrown at the place that knows, turned into an answer at one place per front
 * (REST problem document, MCP tool result, CLI exit code). The codes are fixed by contract section 5.
 */

/**
 * Can the same thing be tried again?
 * - `yes`: later, unchanged, it may succeed.
 * - `no`: somebody has to change something first.
 * - `unknown_outcome`: it may have happened already; look before doing anything (nessus-api.md section 8.3).
 */
export type Retryable = 'yes' | 'no' | 'unknown_outcome';

interface CodeFacts {
  readonly retryable: Retryable;
  /** Status of the HTTP answer when a request fails with this code. */
  readonly httpStatus: number;
  /** Short, constant summary: `title` of the problem document (RFC 9457). */
  readonly title: string;
}

/** Every stable error code with what is always true of it. None is ever renamed. */
export const ERROR_CODES = {
  invalid_request: { retryable: 'no', httpStatus: 400, title: 'The request is not valid' },
  unauthenticated: { retryable: 'no', httpStatus: 401, title: 'A valid API key is needed' },
  forbidden: { retryable: 'no', httpStatus: 403, title: 'Not allowed' },
  rate_limited: { retryable: 'yes', httpStatus: 429, title: 'Too many requests' },
  not_found: { retryable: 'no', httpStatus: 404, title: 'Not found' },
  method_not_allowed: { retryable: 'no', httpStatus: 405, title: 'Not with this method' },
  not_acceptable: { retryable: 'no', httpStatus: 406, title: 'There is no answer of the types asked for' },
  idempotency_conflict: {
    retryable: 'no',
    httpStatus: 409,
    title: 'This idempotency key was used for another request',
  },
  invalid_state: { retryable: 'no', httpStatus: 409, title: 'The state of the task forbids this' },
  too_large: { retryable: 'no', httpStatus: 413, title: 'The upload is too large' },
  target_refused: { retryable: 'no', httpStatus: 403, title: 'Policy forbids a target' },
  confirmation_required: { retryable: 'no', httpStatus: 409, title: 'Confirmation is needed' },
  no_scanner: { retryable: 'yes', httpStatus: 409, title: 'No scanner can take this scan' },
  scanner_export_only: {
    retryable: 'no',
    httpStatus: 409,
    title: 'The licence of the scanner does not offer launching scans by API',
  },
  scanner_auth_failed: {
    retryable: 'no',
    httpStatus: 502,
    title: 'The scanner refused our login',
  },
  scanner_tls: {
    retryable: 'no',
    httpStatus: 502,
    title: 'The certificate of the scanner could not be trusted',
  },
  scanner_unreachable: {
    retryable: 'yes',
    httpStatus: 502,
    title: 'The scanner could not be reached',
  },
  scanner_rejected: { retryable: 'no', httpStatus: 502, title: 'The scanner refused the request' },
  scan_aborted: { retryable: 'yes', httpStatus: 502, title: 'The scanner aborted the scan' },
  export_failed: {
    retryable: 'yes',
    httpStatus: 502,
    title: 'The scanner could not export the results',
  },
  invalid_export: { retryable: 'no', httpStatus: 502, title: 'The export is not usable' },
  crashed_repeatedly: {
    retryable: 'no',
    httpStatus: 500,
    title: 'The task crashed its worker again and again',
  },
  timeout: { retryable: 'no', httpStatus: 504, title: 'The time limit passed' },
  cancelled: { retryable: 'no', httpStatus: 409, title: 'The task was cancelled' },
  unavailable: { retryable: 'yes', httpStatus: 503, title: 'A dependency of scanmq is away' },
  internal: { retryable: 'yes', httpStatus: 500, title: 'Unexpected error inside scanmq' },
} as const satisfies Record<string, CodeFacts>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** All codes, for schemas. */
export const ERROR_CODE_NAMES = Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]];

/** One thing wrong with an input: where (dotted path) and what was expected. */
export interface InputIssue {
  readonly path: string;
  readonly message: string;
}

export interface ScanmqErrorOptions {
  /** The error underneath; for logs only, never shown to users. */
  readonly cause?: unknown;
  /** Overrides what the code says in general, where this case is known better. */
  readonly retryable?: Retryable;
  /** For bad input: everything wrong with it, at once. */
  readonly issues?: readonly InputIssue[];
  /** Seconds after which trying again makes sense. */
  readonly retryAfterSeconds?: number;
  /** What to do next, as an instruction to a program or a model: built from our own words only. */
  readonly next?: string;
}

/**
 * The base of the family. `message` is safe to show to a user: it holds our own words, never a
 * credential, a stack, or unfiltered text of a scanned host.
 */
export class ScanmqError extends Error {
  readonly code: ErrorCode;
  readonly retryable: Retryable;
  readonly issues: readonly InputIssue[] | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly next: string | undefined;

  constructor(code: ErrorCode, message: string, options: ScanmqErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.retryable = options.retryable ?? ERROR_CODES[code].retryable;
    this.issues = options.issues;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.next = options.next;
  }

  get httpStatus(): number {
    return ERROR_CODES[this.code].httpStatus;
  }

  get title(): string {
    return ERROR_CODES[this.code].title;
  }
}

/** Bad input, with every mistake listed at once. */
export class InvalidRequestError extends ScanmqError {
  constructor(message: string, issues: readonly InputIssue[] = []) {
    super('invalid_request', message, { issues });
  }
}

export type ScannerErrorCode = Extract<
  ErrorCode,
  | 'scanner_auth_failed'
  | 'scanner_tls'
  | 'scanner_unreachable'
  | 'scanner_rejected'
  | 'scanner_export_only'
  | 'scan_aborted'
  | 'export_failed'
  | 'invalid_export'
>;

export interface ScannerErrorOptions extends ScanmqErrorOptions {
  /** `pool:instance_id` of the scanner that failed. */
  readonly instanceKey?: string;
  /** What was asked of it, for example `launch`. */
  readonly operation?: string;
  /** Status of its HTTP answer, when there was one. */
  readonly scannerHttpStatus?: number;
  /** The scanner's own words, cut to a line; it is not a scanned host, but still not ours. */
  readonly scannerMessage?: string;
}

/** Something that a scanner did or failed to do. */
export class ScannerError extends ScanmqError {
  readonly instanceKey: string | undefined;
  readonly operation: string | undefined;
  readonly scannerHttpStatus: number | undefined;
  readonly scannerMessage: string | undefined;

  constructor(code: ScannerErrorCode, message: string, options: ScannerErrorOptions = {}) {
    super(code, message, options);
    this.instanceKey = options.instanceKey;
    this.operation = options.operation;
    this.scannerHttpStatus = options.scannerHttpStatus;
    this.scannerMessage = options.scannerMessage;
  }
}

/**
 * Any thrown value as a member of the family. What is not ours becomes `internal` with a constant
 * message: the text of a foreign error may hold addresses, credentials or a stack.
 */
export function toScanmqError(thrown: unknown): ScanmqError {
  if (thrown instanceof ScanmqError) return thrown;
  return new ScanmqError('internal', 'Unexpected error inside scanmq; the log has the details.', {
    cause: thrown,
  });
}
