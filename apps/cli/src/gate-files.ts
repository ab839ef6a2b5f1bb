/** Files that people keep beside their code: findings that do not count, and findings that are known. */
import { readFile } from 'node:fs/promises';
import {
  type BaselineFile,
  baselineFileSchema,
  type IgnoreRule,
  type InputIssue,
  InvalidRequestError,
  ignoreRuleIssues,
  ignoreRulesSchema,
  toIssues,
} from '@scanmq/contract';
import { LineCounter, parseDocument } from 'yaml';

/**
 * Reads an ignore file: a list of rules, or a mapping with that list under `ignore`. JSON is YAML too.
 * @throws InvalidRequestError that names each mistake with its line.
 */
export async function readIgnoreFile(path: string, now: Date): Promise<IgnoreRule[]> {
  const text = await readText(path);
  const lines = new LineCounter();
  // every scalar stays the text that somebody wrote: an id of digits is no number, and a date no time
  const document = parseDocument(text, { schema: 'failsafe', lineCounter: lines });
  const [fault] = document.errors;
  if (fault) {
    const { line } = lines.linePos(fault.pos[0]);
    throw new InvalidRequestError(`${path}:${line}: ${fault.message.split('\n')[0] ?? 'not YAML'}`);
  }
  const content: unknown = document.toJS() ?? [];
  const nested = !Array.isArray(content) && typeof content === 'object';
  const rules = nested ? (content as Record<string, unknown>).ignore : content;
  const prefix = nested ? ['ignore'] : [];
  const parsed = ignoreRulesSchema.safeParse(rules);
  const issues = parsed.success ? ignoreRuleIssues(parsed.data, now) : toIssues(parsed.error);
  if (parsed.success && issues.length === 0) return parsed.data;
  const told = issues.map(({ path: where, message }): InputIssue => {
    const place = [...prefix, ...where.split('.').filter((part) => part !== '')];
    return { path: `${path}:${lineOf(document, lines, place)}`, message: `${nameOf(where)}${message}` };
  });
  const [first] = told;
  throw new InvalidRequestError(`${first?.path}: ${first?.message}`, told);
}

/** The line of what is at a place, or of what it ought to be in. */
function lineOf(
  document: ReturnType<typeof parseDocument>,
  lines: LineCounter,
  place: readonly string[],
): number {
  for (let depth = place.length; depth > 0; depth -= 1) {
    const keys = place.slice(0, depth).map((part) => (/^\d+$/.test(part) ? Number(part) : part));
    const node = document.getIn(keys, true) as
      | { range?: readonly [number, number, number] | null }
      | undefined;
    if (node?.range) return lines.linePos(node.range[0]).line;
  }
  return 1;
}

/** `rule 3, expires: `, counted from 1 as people do. */
function nameOf(where: string): string {
  const [index = '', ...fields] = where.split('.');
  if (!/^\d+$/.test(index)) return '';
  return `rule ${Number(index) + 1}${fields.length === 0 ? '' : `, ${fields.join('.')}`}: `;
}

/** @throws InvalidRequestError for a file that is none. */
export async function readBaselineFile(path: string): Promise<BaselineFile> {
  const text = await readText(path);
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    throw new InvalidRequestError(`${path} is no JSON; write a baseline with --write-baseline.`);
  }
  const parsed = baselineFileSchema.safeParse(content);
  if (parsed.success) return parsed.data;
  const [first] = toIssues(parsed.error);
  throw new InvalidRequestError(
    `${path} is no baseline file: ${first?.path}: ${first?.message}. Write one with --write-baseline.`,
  );
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    throw new InvalidRequestError(`There is no readable file ${path}.`);
  }
}
