/** What every output format and report is made from. */
import type { GateAnswer, HostQuality, IgnoreRule, Quality, ResultsSummary } from '@scanmq/contract';
import type { Finding } from './finding.js';
import type { Judgement } from './judgement.js';

/** The task behind the results, as far as a reader of them wants to know. */
export interface RenderedTask {
  readonly task_id: string;
  readonly name: string;
  readonly targets: string;
  readonly scan_type: string;
  readonly scanner_pool: string;
  readonly scanner_instance: string | null;
  readonly started_at: string | null;
  readonly completed_at: string | null;
  /** True when a simulator, not a real scanner, served the task: to be said wherever results are shown. */
  readonly simulator: boolean;
  /** True when the results were brought in rather than scanned for. */
  readonly imported: boolean;
}

/** The gate that findings are written out for: formats tell what fails, what is known and what is left out as it does. */
export interface RenderedGate {
  readonly answer: Pick<GateAnswer, 'outcome' | 'passed' | 'message' | 'reasons' | 'policy'>;
  readonly rules: readonly IgnoreRule[];
  /** Undefined for what it does not measure. @param finding one that `findings()` gave. */
  judgementOf(finding: Finding): Judgement | undefined;
}

/** Findings of one task, to be written out. */
export interface RenderInput {
  readonly task: RenderedTask;
  readonly summary: ResultsSummary;
  readonly quality: Quality;
  /** How many findings `findings()` gives. */
  readonly total: number;
  readonly gate?: RenderedGate;
  /** All fields of the findings that match, in the order asked for, read as they are needed. */
  findings(): AsyncIterable<Finding>;
}

/** One plugin and where it was found. */
export interface PluginCount {
  readonly plugin_id: string;
  readonly plugin_name: string;
  readonly plugin_family: string;
  readonly severity: string;
  readonly cvss_score: number | null;
  readonly findings: number;
  readonly hosts: number;
}

/** One host and its findings by severity. */
export interface HostCount {
  readonly host: string;
  readonly critical: number;
  readonly high: number;
  readonly medium: number;
  readonly low: number;
  readonly info: number;
}

/** What the HTML report needs beside the findings. */
export interface ReportInput extends RenderInput {
  /** The worst first, bounded. */
  readonly topPlugins: readonly PluginCount[];
  /** The worst first, bounded; `hostsTotal` counts all. */
  readonly hosts: readonly HostCount[];
  readonly hostsTotal: number;
  /** Verdicts of the hosts that something speaks against, bounded. */
  readonly doubtfulHosts: readonly HostQuality[];
  readonly generatedAt: Date;
}
