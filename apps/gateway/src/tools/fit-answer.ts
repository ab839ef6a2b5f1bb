import { LIMITS, type ResultsAnswer, type ResultsQuery } from '@scanmq/contract';

/** The earlier version's text form of results: one JSON document per line. */
export function resultLines(answer: ResultsAnswer): string {
  return [
    answer.schema,
    answer.scan_metadata,
    ...answer.vulnerabilities,
    ...(answer.pagination ? [answer.pagination] : []),
  ]
    .map((line) => JSON.stringify(line))
    .join('\n');
}

/**
 * Cuts an answer to what a model can take, on whole findings, and says in the pagination line what was left out and
 * how to go on. An answer that fits is unchanged.
 */
export function fitAnswer(
  answer: ResultsAnswer,
  query: ResultsQuery,
  limitChars: number = LIMITS.mcpAnswerChars,
): { answer: ResultsAnswer; text: string } {
  const whole = resultLines(answer);
  // of everything (page 0) only as many are read as can fit at all
  const total = answer.pagination ? answer.vulnerabilities.length : answer.schema.total_vulnerabilities;
  if (whole.length <= limitChars && answer.vulnerabilities.length === total) return { answer, text: whole };
  const kept: ResultsAnswer['vulnerabilities'] = [];
  // what the other lines need, and the sentence that explains the cut
  let chars = JSON.stringify(answer.schema).length + JSON.stringify(answer.scan_metadata).length + 600;
  for (const finding of answer.vulnerabilities) {
    chars += JSON.stringify(finding).length + 1;
    if (chars > limitChars) break;
    kept.push(finding);
  }
  const shown = kept.length;
  const page = query.page === 0 ? 1 : query.page;
  const fits = Math.max(LIMITS.pageSizeMin, Math.floor(shown / 10) * 10);
  const advice =
    shown >= LIMITS.pageSizeMin
      ? `ask for page_size=${fits} from page=${Math.floor(((page - 1) * query.page_size) / fits) + 1}`
      : 'ask with schema_profile=minimal or custom_fields';
  const cut: ResultsAnswer = {
    ...answer,
    vulnerabilities: kept,
    pagination: {
      type: 'pagination',
      page,
      page_size: query.page_size,
      total_pages: answer.schema.total_pages,
      has_next: true,
      next_page: page,
      next_cursor: null,
      ...answer.pagination,
      truncated: true,
      message: `Cut at the size limit: ${shown} of ${total} findings of this answer are shown. To get the others ${advice}, or narrow down with filters such as {"severity":">=high"}.`,
    },
  };
  return { answer: cut, text: resultLines(cut) };
}
