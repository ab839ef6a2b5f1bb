/** A judgement as this service gave it, to a scan of the simulator. For the document. */
import type { GateAnswer } from '@scanmq/contract';

export const FAILED: GateAnswer = {
  task_id: 'ne_ness_20261125_203857_3aafe42d',
  outcome: 'failed',
  passed: false,
  message:
    'Failed: 18 findings (5 critical, 13 high) break the gate by severity high or above or EPSS 0.1 or above.',
  reasons: [],
  warnings: [
    {
      code: 'criteria_not_available',
      message: 'No finding has a value for EPSS: nothing was judged by it.',
    },
  ],
  policy: {
    fail_on: 'high',
    max: 0,
    min_cvss: null,
    min_epss: 0.1,
    min_vpr: null,
    known_exploited: false,
    new_only: false,
    on_doubt: 'fail',
    compliance: true,
  },
  not_available: ['epss'],
  counts: {
    total: 213,
    judged: {
      critical: 5,
      high: 13,
      medium: 25,
      low: 4,
      info: 166,
    },
    broke: {
      critical: 5,
      high: 13,
      medium: 0,
      low: 0,
      info: 0,
    },
    ignored: {
      critical: 0,
      high: 0,
      medium: 0,
      low: 0,
      info: 0,
    },
    'new': null,
  },
  baseline: null,
  ignored: [],
  expired_rules: [],
  unused_rules: [],
  findings: [
    {
      finding_id: '14c6aa94f99e54de90eda8de7dfae1a1',
      host: '192.0.2.21',
      port: 1433,
      protocol: 'tcp',
      plugin_id: '73756',
      plugin_name: 'Microsoft SQL Server Unsupported Version Detection (remote check)',
      severity: 'critical',
      cvss_score: 10,
      epss_score: null,
      vpr_score: null,
      cve: [],
      solution: 'Upgrade to a version of Microsoft SQL Server that is currently supported.',
      criteria: ['severity'],
      is_new: null,
    },
  ],
  findings_total: 18,
  simulator: true,
};

export const WITH_IGNORE = {
  fail_on: 'high',
  ignore: [{ plugin_id: '73756', reason: 'Replaced in December, ticket NET-311', expires: '2026-12-20' }],
};
