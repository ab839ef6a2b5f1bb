import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import {
  ERROR_CODE_NAMES,
  ERROR_CODES,
  InvalidRequestError,
  parseOrThrow,
  problemSchema,
  ScanmqError,
  ScannerError,
  toProblem,
  toScanmqError,
} from './index.js';

describe('the error codes', () => {
  it('are those of contract section 5: none is missing, none renamed', () => {
    expect(ERROR_CODE_NAMES).toEqual(
      expect.arrayContaining(
        `invalid_request unauthenticated forbidden rate_limited not_found idempotency_conflict invalid_state
         target_refused confirmation_required no_scanner scanner_export_only scanner_auth_failed scanner_tls
         scanner_unreachable scanner_rejected scan_aborted export_failed invalid_export crashed_repeatedly timeout
         cancelled unavailable internal`.split(/\s+/),
      ),
    );
  });

  it.each(ERROR_CODE_NAMES)('%s has a status of an error and a title', (code) => {
    expect(ERROR_CODES[code].httpStatus).toBeGreaterThanOrEqual(400);
    expect(ERROR_CODES[code].httpStatus).toBeLessThan(600);
    expect(ERROR_CODES[code].title).not.toBe('');
  });
});

describe('an error of the family', () => {
  it('knows what its code knows', () => {
    const error = new ScanmqError('rate_limited', 'Slowly.', { retryAfterSeconds: 3 });
    expect(error).toMatchObject({
      name: 'ScanmqError',
      code: 'rate_limited',
      retryable: 'yes',
      httpStatus: 429,
      title: 'Too many requests',
      retryAfterSeconds: 3,
    });
    expect(error).toBeInstanceOf(Error);
  });

  it('may know better whether trying again helps', () => {
    const error = new ScannerError('scanner_unreachable', 'Reset.', {
      retryable: 'unknown_outcome',
      operation: 'launch',
      instanceKey: 'nessus:scanner1',
    });
    expect(error).toMatchObject({
      name: 'ScannerError',
      retryable: 'unknown_outcome',
      operation: 'launch',
      instanceKey: 'nessus:scanner1',
    });
    expect(error).toBeInstanceOf(ScanmqError);
  });

  it('keeps its cause, and has none when there was none', () => {
    const cause = new Error('below');
    expect(new ScanmqError('internal', 'x', { cause }).cause).toBe(cause);
    expect('cause' in new ScanmqError('internal', 'x')).toBe(false);
  });
});

describe('a thrown value', () => {
  it('that is ours stays as it is', () => {
    const error = new ScanmqError('timeout', 'x');
    expect(toScanmqError(error)).toBe(error);
  });

  it.each([new Error('password=canary'), 'canary', undefined, { message: 'canary' }])(
    'that is not ours shows nothing of itself: %p',
    (thrown) => {
      const error = toScanmqError(thrown);
      expect(error.code).toBe('internal');
      expect(JSON.stringify(toProblem(error, 't'))).not.toContain('canary');
      expect(error.cause).toBe(thrown);
    },
  );
});

describe('a problem document', () => {
  it('has the members of RFC 9457, the code and the trace id', () => {
    const problem = toProblem(new ScanmqError('not_found', 'There is no such task.'), 'trace');
    expect(problem).toEqual({
      type: 'urn:scanmq:error:not_found',
      title: 'Not found',
      status: 404,
      detail: 'There is no such task.',
      code: 'not_found',
      trace_id: 'trace',
    });
    expect(problemSchema.parse(problem)).toEqual(problem);
  });

  it('lists what is wrong with an input', () => {
    const issues = [{ path: 'a', message: 'b' }];
    expect(toProblem(new InvalidRequestError('x', issues), 't').errors).toEqual(issues);
  });
});

describe('an input that is not as it should be', () => {
  const schema = z.strictObject({ a: z.number(), b: z.object({ c: z.string() }) });

  it('is refused with every mistake and its path, without repeating values', () => {
    expect.assertions(3);
    try {
      parseOrThrow(schema, { a: 'canary', b: { c: 1 }, d: 'canary' }, 'query');
    } catch (error) {
      expect(error).toMatchObject({
        code: 'invalid_request',
        issues: [
          { path: 'a', message: expect.any(String) },
          { path: 'b.c', message: expect.any(String) },
          { path: 'd', message: 'unknown field' },
        ],
      });
      expect(String(error)).toMatch(/^InvalidRequestError: The query is not valid: a: .* \(and 2 more\)\.$/);
      expect(JSON.stringify(error) + String(error)).not.toContain('canary');
    }
  });

  it('is passed on when it is right', () => {
    expect(parseOrThrow(schema, { a: 1, b: { c: 'x' } })).toEqual({ a: 1, b: { c: 'x' } });
  });
});
