/** `scanmq gate`, and `scanmq scan` with a gate: judge a scan, write the reports, and say so by the exit code. */
import {
  failLevel,
  type GateAnswer,
  type GateRequest,
  gateAnswerSchema,
  gateRequestSchema,
  isTaskId,
  isTerminal,
  parseOrThrow,
  type RuleUse,
  readGatePolicy,
  ScanmqError,
  type ScanStatus,
} from '@scanmq/contract';
import { asScanmqError, type Client } from '../client.js';
import { EXIT } from '../exit-codes.js';
import { readBaselineFile, readIgnoreFile } from '../gate-files.js';
import {
  type GateOptions,
  REPORT_FORMAT,
  REPORT_OPTIONS,
  type ReportOptions,
  wantsGate,
} from '../gate-options.js';
import type { ProgramIo } from '../program-io.js';
import { saveDownload } from '../save-download.js';
import { gateTable } from '../tables.js';
import { describe, exitCodeOf, followUnlessLeft, type ScanOptions, scanBody } from './scans.js';

/** `scanmq gate`. */
export async function runGate(
  io: ProgramIo,
  client: Client,
  taskId: string,
  options: GateOptions & { readonly wait?: boolean; readonly patience?: number; readonly json?: boolean },
): Promise<number> {
  const request = await readRequest(io, options);
  const status = options.wait
    ? await followUnlessLeft(io, client, taskId, options)
    : await client.status(taskId);
  if (status === undefined) return EXIT.interrupted;
  if (!isTerminal(status.status))
    throw new ScanmqError(
      'invalid_state',
      `The task is ${status.status}: there is nothing to judge yet. --wait waits for its end.`,
    );
  if (!hasResults(status)) {
    io.stdout.write(options.json ? `${JSON.stringify(status)}\n` : describe(status));
    return EXIT.scanFailed;
  }
  const { answer, exitCode } = await judge(io, client, taskId, request, options);
  io.stdout.write(options.json ? `${JSON.stringify(answer)}\n` : describeGate(answer));
  return exitCode;
}

/** `scanmq scan` with a gate or reports: files are read before anything is submitted. */
export async function scanAndJudge(
  io: ProgramIo,
  client: Client,
  targets: readonly string[],
  options: ScanOptions & GateOptions,
): Promise<number> {
  const request = wantsGate(options) ? await readRequest(io, options) : undefined;
  const task = await client.submit({
    ...scanBody(targets, options),
    idempotency_key: options.idempotencyKey,
  });
  const taskId = task.task_id;
  if (!options.json) io.stdout.write(`${taskId}\n`);
  const status = await followUnlessLeft(io, client, taskId, { ...options, submitted: task });
  if (status === undefined) return EXIT.interrupted;
  const scanCode = exitCodeOf(status);
  const say = (gate?: GateAnswer): void =>
    void io.stdout.write(
      options.json
        ? `${JSON.stringify(gate ? { ...status, gate } : status)}\n`
        : `${describe(status)}${gate ? `\n${describeGate(gate)}` : ''}`,
    );
  if (!hasResults(status)) {
    say();
    return scanCode;
  }
  if (!request) {
    say();
    const problem = await writeReports(io, client, taskId, options);
    if (problem && scanCode === EXIT.passed) throw problem;
    return scanCode;
  }
  const { answer, exitCode } = await judge(io, client, taskId, request, options);
  say(answer);
  // a scan that was stopped is no answer to whether it passes, whatever it had found until then
  return scanCode === EXIT.passed ? exitCode : scanCode;
}

function hasResults(status: ScanStatus): boolean {
  return status.status === 'completed' || status.partial_results;
}

/** @throws InvalidRequestError for options and files that cannot be used. */
async function readRequest(io: ProgramIo, options: GateOptions): Promise<GateRequest> {
  const { baseline } = options;
  const isFile = baseline !== undefined && baseline !== 'previous' && !isTaskId(baseline);
  const known = isFile ? await readBaselineFile(baseline) : undefined;
  const request = parseOrThrow(
    gateRequestSchema,
    {
      fail_on: options.failOn,
      max: options.max,
      min_cvss: options.minCvss,
      min_epss: options.minEpss,
      min_vpr: options.minVpr,
      known_exploited: options.knownExploited,
      compliance: options.skipCompliance ? false : undefined,
      new_only: options.newOnly,
      baseline: isFile ? undefined : baseline,
      baseline_findings: known?.findings.map(({ finding_id }) => finding_id),
      on_doubt: options.allowIncomplete ? 'pass' : undefined,
      ignore: options.ignore === undefined ? undefined : await readIgnoreFile(options.ignore, new Date()),
    },
    'gate',
  );
  // whatever is wrong with it is said before anything is scanned
  readGatePolicy(request);
  if (known?.policy.fail_on && failLevel(known.policy.fail_on) > failLevel(request.fail_on))
    io.stderr.write(
      `scanmq: ${baseline} was written with --fail-on ${known.policy.fail_on}: findings below that look new.\n`,
    );
  return request;
}

async function judge(
  io: ProgramIo,
  client: Client,
  taskId: string,
  request: GateRequest,
  options: GateOptions,
): Promise<{ answer: GateAnswer; exitCode: number }> {
  const answer = await client.call('post', `scans/${encodeURIComponent(taskId)}/gate`, gateAnswerSchema, {
    json: request,
  });
  const exitCode = answer.passed
    ? EXIT.passed
    : answer.outcome === 'failed'
      ? EXIT.gateFailed
      : EXIT.couldNotJudge;
  const problem = await writeReports(io, client, taskId, options, request);
  // a build that failed has failed, with or without its reports
  if (problem && exitCode === EXIT.passed) throw problem;
  return { answer, exitCode };
}

/** Writes what is asked for, all of it. @returns the first thing that went wrong, if something did. */
async function writeReports(
  io: ProgramIo,
  client: Client,
  taskId: string,
  options: ReportOptions & Pick<GateOptions, 'writeBaseline'>,
  request?: GateRequest,
): Promise<ScanmqError | undefined> {
  let problem: ScanmqError | undefined;
  const id = encodeURIComponent(taskId);
  const write = async (file: string | undefined, download: () => NodeJS.ReadableStream): Promise<void> => {
    if (file === undefined) return;
    try {
      await saveDownload(client, download(), file);
    } catch (error) {
      const told = asScanmqError(error, client.url);
      io.stderr.write(`scanmq: ${file} is not written: ${told.message}\n`);
      problem ??= told;
    }
  };
  for (const name of REPORT_OPTIONS) {
    if (name === 'html') {
      await write(options.html, () => client.download(`${id}/report`, {}));
      continue;
    }
    const format = REPORT_FORMAT[name];
    await write(options[name], () =>
      request
        ? client.download(`${id}/gate`, { format }, request)
        : client.download(`${id}/findings`, { format }),
    );
  }
  await write(options.writeBaseline, () =>
    client.download(`${id}/gate`, { format: 'baseline' }, { ...request, ignore: undefined }),
  );
  return problem;
}

const HEADLINE = { passed: 'PASSED', failed: 'FAILED', could_not_judge: 'COULD NOT JUDGE' } as const;

/** A judgement for people: what broke it, what was left out, and what to do. */
export function describeGate(answer: GateAnswer): string {
  const { outcome, message, findings, findings_total, warnings, simulator } = answer;
  const lines = [`gate: ${HEADLINE[outcome]}${simulator ? '  (SIMULATOR: not a real scan)' : ''}`, message];
  if (findings.length > 0) lines.push(gateTable(findings));
  if (findings_total > findings.length)
    lines.push(`The worst ${findings.length} of ${findings_total} are shown.`);
  for (const { message: warning } of warnings) lines.push(`warning: ${warning}`);
  lines.push(...ruleLines('ignored', answer.ignored), ...ruleLines('rule is over', answer.expired_rules));
  lines.push(...ruleLines('rule covers nothing', answer.unused_rules));
  const todo = whatToDo(answer);
  if (todo !== undefined) lines.push(todo);
  return `${lines.join('\n')}\n`;
}

function ruleLines(what: string, uses: readonly RuleUse[]): string[] {
  return uses.map(
    ({ selectors, reason, expires, findings }) =>
      `${what}: ${selectors} (${findings === 1 ? '1 finding' : `${findings} findings`}, until ${expires}): ${reason}`,
  );
}

function whatToDo({ outcome, passed, reasons, task_id }: GateAnswer): string | undefined {
  if (outcome === 'failed')
    return 'Fix them and scan again; or accept one for a time, with its finding_id or plugin_id in a file for --ignore.';
  if (outcome === 'passed' || passed) return undefined;
  if (reasons.some(({ code }) => code === 'no_baseline'))
    return 'Name what is known with --baseline TASK or --baseline FILE, or let a first run pass with --allow-incomplete.';
  return `"scanmq status ${task_id}" says what went wrong. Cure it and scan again, or accept an incomplete scan with --allow-incomplete.`;
}
