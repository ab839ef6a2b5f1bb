/** The options of a gate, the same for `scanmq gate` and `scanmq scan`. */
import { FAIL_ON, type GateFormat } from '@scanmq/contract';
import { type Command, Option } from 'commander';

/** Files that a gate writes, by the option that names them. */
export interface ReportOptions {
  readonly sarif?: string;
  readonly junit?: string;
  readonly codeQuality?: string;
  readonly html?: string;
}

export interface GateOptions extends ReportOptions {
  readonly failOn?: string;
  readonly max?: string;
  readonly minCvss?: string;
  readonly minEpss?: string;
  readonly minVpr?: string;
  readonly knownExploited?: boolean;
  readonly skipCompliance?: boolean;
  readonly newOnly?: boolean;
  readonly baseline?: string;
  readonly ignore?: string;
  readonly allowIncomplete?: boolean;
  readonly writeBaseline?: string;
}

export const REPORT_OPTIONS = [
  'sarif',
  'junit',
  'codeQuality',
  'html',
] as const satisfies readonly (keyof ReportOptions)[];

/** What of the service a report is. */
export const REPORT_FORMAT: Readonly<Record<Exclude<keyof ReportOptions, 'html'>, GateFormat>> = {
  sarif: 'sarif',
  junit: 'junit',
  codeQuality: 'code-quality',
};

const JUDGING = [
  'failOn',
  'max',
  'minCvss',
  'minEpss',
  'minVpr',
  'knownExploited',
  'skipCompliance',
  'newOnly',
  'baseline',
  'ignore',
  'allowIncomplete',
  'writeBaseline',
] as const satisfies readonly (keyof GateOptions)[];

/** True when somebody wants it judged; reports alone can be had of any scan. */
export function wantsGate(options: GateOptions): boolean {
  return JUDGING.some((name) => options[name] !== undefined);
}

export function wantsReports(options: ReportOptions): boolean {
  return REPORT_OPTIONS.some((name) => options[name] !== undefined);
}

export function addGateOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--fail-on <severity>',
        'fail for findings of this severity or above (default: high)',
      ).choices(FAIL_ON),
    )
    .option('--max <number>', 'let so many findings pass (default: 0)')
    .option('--min-cvss <score>', 'fail for a CVSS score of this or above')
    .option('--min-epss <probability>', 'fail for an EPSS score of this or above, 0 to 1')
    .option('--min-vpr <score>', 'fail for a VPR of this or above')
    .option('--known-exploited', 'fail for whatever is known to be exploited')
    .option('--skip-compliance', 'compliance checks that are not met do not count')
    .option('--new-only', 'judge only findings that the baseline lacks')
    .option(
      '--baseline <baseline>',
      'a task, a file of --write-baseline, or "previous": the last scan of the same schedule or targets (the default)',
    )
    .option('--ignore <file>', 'findings that do not count, each with a reason and an end (YAML or JSON)')
    .option('--allow-incomplete', 'pass when the scan cannot be judged (on_doubt=pass)')
    .option('--sarif <file>', 'write SARIF, for code scanning')
    .option('--junit <file>', 'write JUnit XML, for test reports')
    .option('--code-quality <file>', 'write a Code Quality report, for GitLab')
    .option('--html <file>', 'write the report for people')
    .option('--write-baseline <file>', 'write what fits the criteria now, as baseline for later');
}
