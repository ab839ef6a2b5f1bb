/** Errors as answers: RFC 9457 problem documents, and the same facts for tools. */
import { z } from 'zod';
import { type InputIssue, InvalidRequestError, type ScanmqError } from './errors.js';
import { errorCodeSchema } from './tasks.js';

export const problemSchema = z.object({
  type: z.string().meta({ description: 'urn:scanmq:error:<code>' }),
  title: z.string().meta({ description: 'What the code stands for, always the same' }),
  status: z.number().int().meta({ description: 'HTTP status of the answer' }),
  detail: z.string().meta({ description: 'What is wrong in this case' }),
  code: errorCodeSchema.meta({ description: 'What to tell errors apart by: none is ever renamed' }),
  trace_id: z.string().meta({ description: 'Id of the request in the logs' }),
  errors: z
    .array(z.object({ path: z.string(), message: z.string() }))
    .optional()
    .meta({ description: 'Of bad input: every mistake, by the dotted path of the field' }),
  next: z.string().optional().meta({ description: 'What to do next, where there is one thing to do' }),
});
export type Problem = z.infer<typeof problemSchema>;

/** An error as the problem document that REST answers. */
export function toProblem(error: ScanmqError, traceId: string): Problem {
  return {
    type: `urn:scanmq:error:${error.code}`,
    title: error.title,
    status: error.httpStatus,
    detail: error.message,
    code: error.code,
    trace_id: traceId,
    ...(error.issues && error.issues.length > 0 ? { errors: [...error.issues] } : {}),
    ...(error.next === undefined ? {} : { next: error.next }),
  };
}

/**
 * Checks a value that crosses our border.
 * @param what names the thing in the message, for example `request` or `query`.
 * @throws InvalidRequestError that lists every mistake with its path.
 */
export function parseOrThrow<S extends z.ZodType>(schema: S, value: unknown, what = 'request'): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = toIssues(parsed.error);
  const first = issues[0];
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : '';
  throw new InvalidRequestError(
    first
      ? `The ${what} is not valid: ${first.path === '' ? '' : `${first.path}: `}${first.message}${more}.`
      : `The ${what} is not valid.`,
    issues,
  );
}

/** The issues of a zod error with dotted paths; values are left out, they may be secret. */
export function toIssues(error: z.ZodError): readonly InputIssue[] {
  return error.issues.flatMap((issue): InputIssue[] => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({ path: [...issue.path, key].join('.'), message: 'unknown field' }));
    }
    return [{ path: issue.path.join('.'), message: issue.message }];
  });
}
