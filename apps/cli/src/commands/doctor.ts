import { readFileSync } from 'node:fs';
import colors from 'picocolors';
import { AREAS, type Area } from '../doctor/areas.js';
import type { CheckResult, Status } from '../doctor/check.js';
import { allWell, runChecks, settingsAreWrong } from '../doctor/doctor.js';
import { EXIT } from '../exit-codes.js';
import type { ProgramIo } from '../program-io.js';

/** Longer than the answer needs to be written; a connection that hangs must not keep the process. */
const LINGER_MS = 1_000;

const SYMBOLS: Readonly<Record<Status, string>> = {
  ok: colors.green('✔'),
  warning: colors.yellow('!'),
  problem: colors.red('✖'),
  skipped: colors.dim('–'),
};
const WORD_CHARS = 8;

/**
 * `scanmq doctor`: 0 when nothing is wrong (warnings are allowed), 2 when settings or the list of scanners are wrong,
 * else 4 for a problem of anything else.
 */
export async function runDoctor(
  io: ProgramIo,
  options: { readonly version: string; readonly only?: readonly Area[]; readonly json?: boolean },
): Promise<number> {
  const results = await runChecks({
    env: io.env,
    version: options.version,
    engines: enginesOfNode(),
    only: options.only ?? AREAS,
  });
  const ok = allWell(results);
  io.stdout.write(
    options.json ? `${JSON.stringify({ ok, checks: results })}\n` : render(results, io.stdout.isTTY),
  );
  const code = ok ? EXIT.passed : settingsAreWrong(results) ? EXIT.usage : EXIT.unreachable;
  setTimeout(() => process.exit(code), LINGER_MS).unref();
  return code;
}

/** What Node has to be, as the package says. */
function enginesOfNode(): string {
  const { engines } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    engines: { node: string };
  };
  return engines.node;
}

/** @param terminal with symbols; a log gets words only. */
function render(results: readonly CheckResult[], terminal: boolean): string {
  const lines = results.flatMap(({ name, status, found, advice }) => [
    `${terminal ? `${SYMBOLS[status]} ` : ''}${status.padEnd(WORD_CHARS)} ${terminal ? colors.bold(name) : `${name}:`} ${safe(found)}`,
    ...(advice === null ? [] : [`${terminal ? '  ' : ''}${' '.repeat(WORD_CHARS)} → ${safe(advice)}`]),
  ]);
  const number = (status: Status): number => results.filter((result) => result.status === status).length;
  const summary = (['ok', 'warning', 'problem', 'skipped'] as const)
    .map((status) => `${number(status)} ${status}`)
    .join(', ');
  return `${lines.join('\n')}\n\n${summary}.\n`;
}

/** A scanner's own words must not move the cursor. */
function safe(text: string): string {
  return text.replace(/\p{C}/gu, ' ');
}
