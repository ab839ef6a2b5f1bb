/** Filters of results (contract section 4): checked, then compiled to one function per question. */
import {
  type Filters,
  InvalidRequestError,
  parseAddress,
  parseTarget,
  SEVERITY_NAMES,
  type Target,
} from '@scanmq/contract';
import { COMMON_FIELDS, type Finding, hasSeverity, severityOf } from './finding.js';

export type Predicate = (finding: Finding) => boolean;

const OPERATOR = /^(>=|<=|>|<|=)\s*(.+)$/s;
/** Groups within groups; the recursion below must not be driven to the end of the stack. */
const NESTING = 16;
const OPERATORS = '">7.0", ">=7.0", "<7.0", "<=7.0", "=7.0"';

/**
 * Compiles filters. All must match; a finding that lacks a field does not match a filter on it.
 * @param known fields of this export, beside those that every export may have.
 * @throws InvalidRequestError for an unknown field or operator, with the known ones.
 */
export function compileFilters(filters: Filters | undefined, known: ReadonlySet<string>): Predicate {
  return compileGroup(filters ?? {}, known, 'filters');
}

function compileGroup(group: unknown, known: ReadonlySet<string>, path: string, depth = 0): Predicate {
  if (depth > NESTING) refuse('filters', `groups are nested more than ${NESTING} deep`);
  if (group === null || typeof group !== 'object' || Array.isArray(group))
    refuse(path, 'expected an object of filters');
  const parts = Object.entries(group).map(([field, value]) =>
    compileOne(field, value, known, `${path}.${field.slice(0, 60)}`, depth),
  );
  return (finding) => parts.every((part) => part(finding));
}

function compileOne(
  field: string,
  value: unknown,
  known: ReadonlySet<string>,
  path: string,
  depth: number,
): Predicate {
  if (field === 'or') {
    if (!Array.isArray(value) || value.length === 0)
      return refuse(path, 'expected a list of groups, for example [{"severity":"4"},{"host":"10.0.0.1"}]');
    const groups = value.map((group: unknown, index) =>
      compileGroup(group, known, `${path}.${index}`, depth + 1),
    );
    return (finding) => groups.some((group) => group(finding));
  }
  if (field === 'not') {
    const group = compileGroup(value, known, path, depth + 1);
    return (finding) => !group(finding);
  }
  if (!known.has(field)) {
    const names = [...new Set([...COMMON_FIELDS, ...known])].sort().join(', ');
    return refuse(path, `unknown field '${field.slice(0, 60)}'. Known fields: ${names}`);
  }
  if (value !== null && typeof value === 'object')
    return refuse(path, `expected a text, a number or true/false; operators are ${OPERATORS}`);
  if (field === 'severity') return compileSeverity(value, path);
  if (field === 'host' && typeof value === 'string') return compileHost(value);
  return compileValue(field, value, path);
}

function refuse(path: string, message: string): never {
  throw new InvalidRequestError(`Bad filter: ${path}: ${message}.`, [{ path, message }]);
}

function compileSeverity(value: unknown, path: string): Predicate {
  const text = String(value).trim().toLowerCase();
  const [, operator = '=', word = text] = OPERATOR.exec(text) ?? [];
  const byName = (SEVERITY_NAMES as readonly string[]).indexOf(word);
  const level = byName >= 0 ? byName : Number(word);
  if (byName < 0 && !/^[0-4]$/.test(word)) {
    return refuse(
      path,
      `expected a severity: ${SEVERITY_NAMES.join(', ')} or 0 to 4, also with an operator such as ">=high"`,
    );
  }
  return (finding) => hasSeverity(finding) && compare(severityOf(finding), operator, level);
}

/** An address, range or network matches by address; anything else is a text like in every field. */
function compileHost(value: string): Predicate {
  const target = parseTarget(value.trim());
  const asText = compileText('host', value);
  if (!target || target.kind === 'name') return asText;
  if (target.kind === 'address') return (finding) => within(finding.host, target) || asText(finding);
  return (finding) => within(finding.host, target);
}

function within(host: unknown, target: Exclude<Target, { kind: 'name' }>): boolean {
  const address = parseAddress(String(host));
  return (
    address !== undefined &&
    address.family === target.family &&
    target.first <= address.value &&
    address.value <= target.last
  );
}

function compileValue(field: string, value: unknown, path: string): Predicate {
  if (value === null) return (finding) => finding[field] === undefined || finding[field] === null;
  if (typeof value === 'boolean') return (finding) => finding[field] === value;
  if (typeof value === 'number') return (finding) => anyOf(finding[field], (one) => toNumber(one) === value);
  const text = String(value);
  const match = OPERATOR.exec(text);
  if (!match) return compileText(field, text);
  const [, operator = '', operand = ''] = match;
  const number = toNumber(operand);
  if (number === undefined)
    return refuse(path, `expected a number after ${operator}; operators are ${OPERATORS}`);
  return (finding) =>
    anyOf(finding[field], (one) => {
      const actual = toNumber(one);
      return actual !== undefined && compare(actual, operator, number);
    });
}

function compileText(field: string, text: string): Predicate {
  const wanted = text.toLowerCase();
  return (finding) => anyOf(finding[field], (one) => String(one).toLowerCase().includes(wanted));
}

/** One element of a list is enough; a missing field has none. */
function anyOf(value: unknown, test: (one: unknown) => boolean): boolean {
  if (value === undefined || value === null) return false;
  return Array.isArray(value) ? value.some(test) : test(value);
}

function toNumber(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string' || value.trim() === '') return undefined;
  const number = Number(value);
  return Number.isFinite(number) ? number : undefined;
}

function compare(actual: number, operator: string, wanted: number): boolean {
  switch (operator) {
    case '>':
      return actual > wanted;
    case '>=':
      return actual >= wanted;
    case '<':
      return actual < wanted;
    case '<=':
      return actual <= wanted;
    default:
      return actual === wanted;
  }
}
