/**
 * Answers of a size that a model can take: cut on whole items, with a word on what was left out and the next call.
 */
import { LIMITS, type ResultsAnswer, type ResultsQuery } from '@scanmq/contract';
import { capText, cleanText, cleanValue, createFence, splitFinding, TELLING_FIELDS } from './untrusted.js';

const chars = (value: unknown): number => JSON.stringify(value).length;

/** What the sentence on a cut takes. */
const NOTE_CHARS = 400;

/**
 * Asks for as many items as fit. What is cut off is asked for anew with a lower limit, so that the cursor of the answer
 * leads on from exactly there.
 * @param ask asks for at most so many items.
 * @param itemsOf the items of an answer.
 * @param limit what the caller asked for.
 */
export async function fitPage<A>(
  ask: (limit: number) => Promise<A>,
  itemsOf: (answer: A) => readonly unknown[],
  limit: number,
  mostChars: number = LIMITS.mcpAnswerChars,
): Promise<A> {
  const answer = await ask(Math.min(limit, LIMITS.mcpItems));
  const items = itemsOf(answer);
  const size = chars(answer);
  if (size + NOTE_CHARS <= mostChars || items.length <= 1) return answer;
  const around = size - items.reduce<number>((sum, item) => sum + chars(item) + 1, 0);
  return await ask(Math.max(1, countFitting(items, mostChars - around - NOTE_CHARS)));
}

/** How many of the first items have this many characters together. */
function countFitting(items: readonly unknown[], mostChars: number): number {
  let left = mostChars;
  const first = items.findIndex((item) => {
    left -= chars(item) + 1;
    return left < 0;
  });
  return first === -1 ? items.length : first;
}

/** As many items of a list without pages as fit. */
export function fitList<T>(
  items: readonly T[],
  mostChars: number = LIMITS.mcpAnswerChars - NOTE_CHARS,
): readonly T[] {
  return items.slice(0, countFitting(items, mostChars));
}

interface Rendered {
  readonly structured: ResultsAnswer;
  readonly text: string;
  /** Some of it was written by a scanned host. */
  readonly untrusted: boolean;
}

/**
 * The answer of `get_scan_results`. As text in the earlier version's form: one JSON document per line, with the text of
 * hosts fenced under its own field names; structured, with that text under `untrusted`.
 */
export async function fitResults(
  ask: (query: ResultsQuery, most: number) => Promise<ResultsAnswer>,
  query: ResultsQuery,
  mostChars: number = LIMITS.mcpAnswerChars,
): Promise<Rendered> {
  const answer = await ask(query, LIMITS.mcpFindings);
  const whole = render(answer);
  // of everything (page 0) only as many were read as can fit at all
  const total = answer.pagination ? answer.vulnerabilities.length : answer.schema.total_vulnerabilities;
  if (answer.vulnerabilities.length === total && sizeOf(whole) <= mostChars) return whole;
  const around =
    Math.max(chars(answer.schema) + chars(answer.scan_metadata), chars(whole.structured.scan_metadata)) +
    3 * NOTE_CHARS;
  const lines = linesOf(answer);
  const fitting = Math.min(
    countFitting(lines.texts, mostChars - around),
    countFitting(whole.structured.vulnerabilities, mostChars - around),
  );
  const page = query.page === 0 ? { ...query, page: 1 } : query;
  const cut = await ask(page, Math.max(1, fitting));
  const shown = cut.vulnerabilities.length;
  if (cut.pagination === null) return render(cut);
  const { next_cursor: cursor } = cut.pagination;
  return render({
    ...cut,
    pagination: {
      ...cut.pagination,
      truncated: true,
      message: `Cut at the size limit: ${shown} of ${total} findings of this answer are shown. ${
        cursor === null
          ? 'There are no more.'
          : `Go on with the same arguments and cursor="${cursor}" instead of page.`
      } To see more at once ask with schema_profile=minimal, or narrow down with filters such as {"severity":">=high"}.`,
    },
  });
}

function sizeOf({ structured, text }: Rendered): number {
  return Math.max(chars(structured), text.length);
}

interface Lines {
  readonly texts: readonly string[];
  readonly findings: ResultsAnswer['vulnerabilities'];
  readonly untrusted: boolean;
}

function linesOf(answer: ResultsAnswer): Lines {
  const { fields } = answer.schema;
  const unasked = TELLING_FIELDS.filter((field) => fields !== 'all' && !fields.includes(field));
  const halves = answer.vulnerabilities.map((finding) => {
    const half = splitFinding(finding);
    for (const field of unasked) delete half.trusted[field];
    return half;
  });
  const fence = createFence(halves.flatMap(({ untrusted }) => Object.values(untrusted).map(asText)));
  return {
    texts: halves.map(({ trusted, untrusted }) =>
      JSON.stringify({
        ...trusted,
        // a host whose name is no name is told by its label only
        ...Object.fromEntries(
          Object.entries(untrusted)
            .filter(([field]) => field !== 'host')
            .map(([field, value]) => [field, fence.wrap(asText(value))]),
        ),
      }),
    ),
    findings: halves.map(({ trusted, untrusted }) => ({
      ...trusted,
      type: 'vulnerability' as const,
      ...(Object.keys(untrusted).length > 0 ? { untrusted } : {}),
    })),
    untrusted: halves.some(({ untrusted }) => Object.keys(untrusted).length > 0),
  };
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function render(answer: ResultsAnswer): Rendered {
  const { texts, findings, untrusted } = linesOf(answer);
  const metadata = cleanValue(briefMetadata(answer.scan_metadata), LIMITS.mcpTextChars);
  const structured: ResultsAnswer = {
    ...answer,
    scan_metadata: metadata as ResultsAnswer['scan_metadata'],
    vulnerabilities: findings,
  };
  const text = [
    JSON.stringify(structured.schema),
    JSON.stringify(structured.scan_metadata),
    ...texts,
    ...(answer.pagination ? [JSON.stringify(answer.pagination)] : []),
  ].join('\n');
  return { structured, text, untrusted };
}

/** Characters of the targets of a task beside other things. */
const TARGETS_CHARS = 500;

export function shortTargets(targets: string, most: number = TARGETS_CHARS): string {
  return capText(cleanText(targets), most);
}

/** What the results say of their task, without what the status of the task has at length. */
function briefMetadata(metadata: ResultsAnswer['scan_metadata']): ResultsAnswer['scan_metadata'] {
  const { targets, quality } = metadata as { targets?: unknown; quality?: unknown };
  return {
    ...metadata,
    ...(typeof targets === 'string' ? { targets: shortTargets(targets) } : {}),
    ...(quality !== null && typeof quality === 'object' ? { quality: briefQuality(quality) } : {}),
  };
}

/** The verdict and its reasons; the whole is in the status. */
export function briefQuality<Q extends object>(quality: Q): Q {
  const { verdict, reasons } = quality as { verdict?: unknown; reasons?: unknown };
  // answers are told briefly in the schemas too: see BRIEFLY in tool.ts
  return { verdict, reasons } as unknown as Q;
}

/** How to go on where there is more. */
export function moreBy(tool: string, cursor: string | null): string | null {
  return cursor === null
    ? null
    : `More: ${tool} with the same arguments and cursor=${JSON.stringify(cursor)}.`;
}
