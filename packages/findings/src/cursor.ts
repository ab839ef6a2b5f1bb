import { createHash } from 'node:crypto';
import { InvalidRequestError } from '@scanmq/contract';

/** Enough to tell questions apart; nothing secret is in it. */
const IDENTITY_CHARS = 16;

/**
 * An opaque cursor: a place in the answer to one question.
 * @param identity what the place belongs to: the question, and the version of what is asked.
 */
export function encodeCursor(place: number, identity: string): string {
  return Buffer.from(JSON.stringify([place, short(identity)])).toString('base64url');
}

/** @throws InvalidRequestError for a cursor that is none, or belongs to another question. */
export function decodeCursor(cursor: string, identity: string): number {
  let decoded: unknown;
  try {
    decoded = JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch {
    decoded = undefined;
  }
  const [place, of] = Array.isArray(decoded) ? (decoded as unknown[]) : [];
  if (!Number.isSafeInteger(place) || Number(place) < 0 || typeof of !== 'string')
    throw refusal('The cursor is not one of ours.', 'expected the next_cursor of an earlier answer');
  if (of !== short(identity))
    throw refusal(
      'The cursor belongs to another question.',
      'expected the next_cursor of an answer to the same filters, sort and page size',
    );
  return Number(place);
}

function refusal(message: string, expected: string): InvalidRequestError {
  return new InvalidRequestError(message, [{ path: 'cursor', message: expected }]);
}

function short(identity: string): string {
  return createHash('sha256').update(identity).digest('base64url').slice(0, IDENTITY_CHARS);
}
