/** Filters of results (contract section 4), checked and brought into a form that says exactly what is meant. */
import { type Filters, InvalidRequestError, parseTarget, SEVERITY_NAMES } from '@scanmq/contract';
import { keyRange } from './host-key.js';

export type Operator = '>' | '>=' | '<' | '<=' | '=';

/**
 * What a finding must fulfil. A finding that lacks a field fulfils nothing on it but `missing`; on a list, one element
 * is enough.
 */
export type Condition =
  | { readonly kind: 'all'; readonly parts: readonly Condition[] }
  | { readonly kind: 'any'; readonly parts: readonly Condition[] }
  | { readonly kind: 'not'; readonly part: Condition }
  | { readonly kind: 'missing'; readonly field: string }
  /** It is there, and not an empty text. */
  | { readonly kind: 'given'; readonly field: string }
  | { readonly kind: 'is'; readonly field: string; readonly value: boolean }
  | { readonly kind: 'number'; readonly field: string; readonly operator: Operator; readonly value: number }
  /** Anywhere in the field, without regard to case. */
  | { readonly kind: 'text'; readonly field: string; readonly text: string }
  | { readonly kind: 'severity'; readonly operator: Operator; readonly level: number }
  /** The host's name or its `host-ip` lies from the first to the last key (`hostKey`). */
  | { readonly kind: 'hosts'; readonly first: string; readonly last: string };

const OPERATOR = /^(>=|<=|>|<|=)\s*(.+)$/s;
const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?$/;
/** Groups within groups; the recursion below must not be driven to the end of the stack. */
const NESTING = 16;
/** Conditions of one question, over all groups. */
const CONDITIONS = 200;
const OPERATORS = '">7.0", ">=7.0", "<7.0", "<=7.0", "=7.0"';

/**
 * Reads filters; all must match.
 * @param known fields that may be named.
 * @throws InvalidRequestError for an unknown field or operator, with the known ones.
 */
export function readFilters(filters: Filters | undefined, known: ReadonlySet<string>): Condition {
  const context: Context = { known, conditions: 0 };
  return readGroup(filters ?? {}, context, 'filters', 0);
}

/** @throws InvalidRequestError; reads a severity such as `high`, `3` or `>=high`. */
export function readSeverity(value: unknown, path: string): Condition {
  const text = String(value).trim().toLowerCase();
  const [, operator = '=', word = text] = OPERATOR.exec(text) ?? [];
  const byName = (SEVERITY_NAMES as readonly string[]).indexOf(word);
  if (byName < 0 && !/^[0-4]$/.test(word)) {
    return refuse(
      path,
      `expected a severity: ${SEVERITY_NAMES.join(', ')} or 0 to 4, also with an operator such as ">=high"`,
    );
  }
  return { kind: 'severity', operator: operator as Operator, level: byName >= 0 ? byName : Number(word) };
}

/** The number in a text, by one rule for filters, sorting and their reference in the tests; undefined for none. */
export function numberIn(text: string): number | undefined {
  const trimmed = text.trim();
  if (!NUMBER.test(trimmed)) return undefined;
  const value = Number(trimmed);
  return Number.isFinite(value) ? value : undefined;
}

interface Context {
  readonly known: ReadonlySet<string>;
  conditions: number;
}

function readGroup(group: unknown, context: Context, path: string, depth: number): Condition {
  if (depth > NESTING) refuse('filters', `groups are nested more than ${NESTING} deep`);
  if (group === null || typeof group !== 'object' || Array.isArray(group))
    refuse(path, 'expected an object of filters');
  const parts = Object.entries(group).map(([field, value]) =>
    readOne(field, value, context, `${path}.${field.slice(0, 60)}`, depth),
  );
  return { kind: 'all', parts };
}

function readOne(field: string, value: unknown, context: Context, path: string, depth: number): Condition {
  context.conditions += 1;
  if (context.conditions > CONDITIONS) refuse('filters', `there are more than ${CONDITIONS} conditions`);
  if (field === 'or') {
    if (!Array.isArray(value) || value.length === 0)
      return refuse(path, 'expected a list of groups, for example [{"severity":"4"},{"host":"10.0.0.1"}]');
    return {
      kind: 'any',
      parts: value.map((group: unknown, index) => readGroup(group, context, `${path}.${index}`, depth + 1)),
    };
  }
  if (field === 'not') return { kind: 'not', part: readGroup(value, context, path, depth + 1) };
  if (!context.known.has(field)) {
    const names = [...context.known].sort().join(', ');
    return refuse(path, `unknown field '${field.slice(0, 60)}'. Known fields: ${names}`);
  }
  if (value === undefined || (value !== null && typeof value === 'object'))
    return refuse(path, `expected a text, a number or true/false; operators are ${OPERATORS}`);
  if (field === 'severity' && value !== null) return readSeverity(value, path);
  if ((field === 'host' || field === 'host_ip') && typeof value === 'string') return readHost(field, value);
  return readValue(field, value, path);
}

/** An address, range or network matches by address; anything else is a text like in every field. */
function readHost(field: string, value: string): Condition {
  const target = parseTarget(value.trim());
  const asText: Condition = { kind: 'text', field, text: value };
  if (!target || target.kind === 'name') return asText;
  const [first, last] = keyRange(target);
  const byAddress: Condition = { kind: 'hosts', first, last };
  return target.kind === 'address' ? { kind: 'any', parts: [byAddress, asText] } : byAddress;
}

function readValue(field: string, value: unknown, path: string): Condition {
  if (value === null) return { kind: 'missing', field };
  if (typeof value === 'boolean') return { kind: 'is', field, value };
  if (typeof value === 'number') return { kind: 'number', field, operator: '=', value };
  const text = String(value);
  const match = OPERATOR.exec(text);
  if (!match) return { kind: 'text', field, text };
  const [, operator = '=', operand = ''] = match;
  const number = numberIn(operand);
  if (number === undefined)
    return refuse(path, `expected a number after ${operator}; operators are ${OPERATORS}`);
  return { kind: 'number', field, operator: operator as Operator, value: number };
}

function refuse(path: string, message: string): never {
  throw new InvalidRequestError(`Bad filter: ${path}: ${message}.`, [{ path, message }]);
}
