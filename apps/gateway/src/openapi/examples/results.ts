/** Answers as this service gave them, to scans of the simulator; long texts are cut. For the document. */
import type {
  Comparison,
  findingSchema,
  hostListSchema,
  ResultsAnswer,
  SearchAnswer,
} from '@scanmq/contract';
import type { z } from 'zod';

export const FINDINGS: ResultsAnswer = {
  schema: {
    type: 'schema',
    profile: 'brief',
    fields: [
      'host',
      'plugin_id',
      'severity',
      'cve',
      'cvss_score',
      'exploit_available',
      'plugin_name',
      'cvss3_base_score',
      'synopsis',
      'description',
      'solution',
    ],
    filters_applied: {
      severity: '>=high',
    },
    total_vulnerabilities: 18,
    total_pages: 2,
  },
  scan_metadata: {
    type: 'scan_metadata',
    scan_name: 'simulator: Weekly scan of the DMZ [scanmq ne_ness_20261125_195017_450915d3]',
    task_id: 'ne_ness_20261125_195017_450915d3',
    name: 'Weekly scan of the DMZ',
    targets: '192.0.2.10, 192.0.2.16/29',
    scan_type: 'untrusted',
    scanner_pool: 'nessus',
    scanner_instance: 'scanner1',
    started_at: '2026-11-25T19:50:17.118Z',
    completed_at: '2026-11-25T19:50:18.286Z',
    authentication_status: 'not_applicable',
    validation_warnings: [],
    results_summary: {
      hosts_scanned: 7,
      total_vulnerabilities: 90,
      total_findings: 270,
      severity_breakdown: {
        critical: 5,
        high: 13,
        medium: 26,
        low: 46,
        info: 180,
      },
      file_size_kb: 678,
      auth_plugins_found: 7,
      compliance: null,
    },
    imported: null,
    simulator: true,
    quality: {
      verdict: 'complete',
      reasons: [],
      stopped_early: false,
      ended_as: 'completed',
      hosts: {
        listed: 7,
        alive: 7,
        incomplete: 0,
      },
      targets_missing: {
        count: 0,
        examples: [],
      },
      credentials: {
        requested: false,
        status: 'not_applicable',
        hosts: {
          success: 0,
          partial: 0,
          failed: 0,
          none_provided: 7,
          unknown: 0,
        },
        by_protocol: {},
      },
      privilege: {
        sufficient: 0,
        insufficient: 0,
        unknown: 7,
      },
      plugin_set: {
        version: '202611010000',
        age_days: 24.8,
      },
      port_ranges: ['default'],
    },
    scanner_facts: {
      policy: 'Simulator',
      loaded_plugin_set: '202611010000',
      report_task_id: '5ea8ed84-bc2b-4988-857b-669ed115338fe98cec455cdc4517',
    },
  },
  vulnerabilities: [
    {
      host: '192.0.2.10',
      plugin_id: '100931',
      severity: '4',
      cve: [
        'CVE-2017-1000363',
        'CVE-2017-5577',
        'CVE-2017-1000364',
        'CVE-2017-9076',
        'CVE-2017-9242',
        'CVE-2017-9077',
        'CVE-2017-7374',
        'CVE-2017-9074',
        'CVE-2017-8890',
        'CVE-2017-9075',
      ],
      cvss_score: 9.8,
      exploit_available: true,
      plugin_name: 'Ubuntu 16.04 LTS : linux-hwe, linux-meta-hwe vulnerabilities (USN-3333-1) (Stack Clash)',
      cvss3_base_score: 9.8,
      synopsis: 'The remote Ubuntu host is missing one or more security-related\npatches.',
      description:
        'It was discovered that a use-after-free flaw existed in the filesystem\nencryption subsystem in the Linux kernel. A local attacker could use\nthis to cause a …',
      solution: 'Update the affected packages.',
      type: 'vulnerability',
    },
    {
      host: '192.0.2.10',
      plugin_id: '100667',
      severity: '3',
      cve: ['CVE-2017-0605'],
      cvss_score: 9.3,
      exploit_available: false,
      plugin_name: 'Ubuntu 16.04 LTS : linux-hwe vulnerability (USN-3313-2)',
      synopsis: 'The remote Ubuntu host is missing one or more security-related\npatches.',
      description:
        'USN-3313-1 fixed vulnerabilities in the Linux kernel for Ubuntu 16.10.\nThis update provides the corresponding updates for the Linux Hardware\nEnablement (HWE) …',
      solution: 'Update the affected packages.',
      type: 'vulnerability',
    },
  ],
  pagination: {
    type: 'pagination',
    page: 1,
    page_size: 10,
    total_pages: 2,
    has_next: true,
    next_page: 2,
    next_cursor: 'WzEwLCJSZ3hpQUYweDVjT2dVQ0lUIl0',
  },
};

export const FINDINGS_NDJSON = [
  FINDINGS.schema,
  { type: 'scan_metadata', scan_name: 'Weekly scan of the DMZ' },
  ...FINDINGS.vulnerabilities,
]
  .map((line) => `${JSON.stringify(line)}\n`)
  .join('');

export const FINDINGS_CSV =
  'host,plugin_id,severity,plugin_name\r\n192.0.2.10,11219,0,Nessus SYN scanner\r\n192.0.2.10,56468,0,Time of Last System Startup\r\n192.0.2.10,64582,0,Netstat Connection Information\r\n';

export const FINDINGS_JUNIT =
  '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="Weekly scan of the DMZ">\n<testsuite name="192.0.2.10" tests="1" failures="0" errors="0" hostname="192.0.2.10">\n<testcase name="Nessus SYN scanner (11219) tcp/80" classname="192_0_2_10"/>\n</testsuite>\n</testsuites>\n';

export const FINDING: z.input<typeof findingSchema> = {
  type: 'vulnerability',
  finding_id: '440ebf1ff7f65bf071d698e0f13742f6',
  host: '192.0.2.17',
  host_ip: '192.0.2.17',
  plugin_id: '100667',
  severity: '3',
  port: '0',
  svc_name: 'n/a',
  protocol: 'TCP',
  cvss_score: 9.3,
  first_found: '2018-03-29T21:42:04Z',
  last_found: '2018-03-29T21:42:04Z',
  vulnerability_state: 'Active',
  plugin_output:
    '\n  - Installed package : linux-image-4.8.0-53-generic_4.8.0-53.56~16.04.1\n    Fixed package     : linux-image-4.8.0-54-generic_4.8.0-54.57~16.04.1\n\n',
  plugin_name: 'Ubuntu 16.04 LTS : linux-hwe vulnerability (USN-3313-2)',
  plugin_family: 'Ubuntu Local Security Checks',
  synopsis: 'The remote Ubuntu host is missing one or more security-related\npatches.',
  description:
    'USN-3313-1 fixed vulnerabilities in the Linux kernel for Ubuntu 16.10.\nThis update provides the corresponding updates for the Linux Hardware\nEnablement (HWE) …',
  solution: 'Update the affected packages.',
  risk_factor: 'High',
  cve: ['CVE-2017-0605'],
  xref: ['USN:3313-2', 'OSVDB:156817'],
  cvss_base_score: 9.3,
  cvss_temporal_score: 6.9,
  cvss_vector: 'AV:N/AC:M/Au:N/C:C/I:C/A:C',
  cvss_temporal_vector: 'E:U/RL:OF/RC:C',
  exploit_available: false,
  patch_publication_date: '2017/06/07',
  plugin_publication_date: '2017/06/07',
  plugin_modification_date: '2017/08/16',
  plugin_type: 'local',
};

export const HOSTS: z.input<typeof hostListSchema> = {
  hosts: [
    {
      host: '192.0.2.21',
      ip: '192.0.2.21',
      aliases: [],
      operating_system: 'Linux Kernel 2.6',
      started: 'Wed Nov 25 19:50:17 2026',
      ended: 'Wed Nov 25 19:50:17 2026',
      findings: 50,
      alive: true,
      incomplete: false,
      credentials: 'none_provided',
      credentials_plugin: '110723',
      logins: [],
      privilege: 'unknown',
      port_range: 'default',
      plugin_set: null,
      severities: {
        critical: 2,
        high: 10,
        medium: 13,
        low: 1,
        info: 24,
      },
      properties: [
        {
          name: 'scanmq-simulator',
          value: 'true',
        },
        {
          name: 'host-ip',
          value: '192.0.2.21',
        },
        {
          name: 'HOST_START',
          value: 'Wed Nov 25 19:50:17 2026',
        },
        {
          name: 'HOST_END',
          value: 'Wed Nov 25 19:50:17 2026',
        },
      ],
    },
  ],
  total: 7,
  next_offset: 1,
  next_cursor: 'WzEsIjB4cWpVUVpiV3I2MGFyZEciXQ',
};

export const COMPARISON: Comparison = {
  base_task_id: 'ne_ness_20261125_195017_450915d3',
  head_task_id: 'ne_ness_20261125_195018_2253b5c6',
  counts: {
    new: 188,
    fixed: 214,
    persisting: 41,
    changed_severity: 13,
    not_retested: 2,
  },
  by_severity: {
    info: {
      new: 125,
      fixed: 134,
      persisting: 41,
      changed_severity: 8,
      not_retested: 0,
    },
    low: {
      new: 19,
      fixed: 36,
      persisting: 0,
      changed_severity: 5,
      not_retested: 2,
    },
    medium: {
      new: 26,
      fixed: 26,
      persisting: 0,
      changed_severity: 0,
      not_retested: 0,
    },
    high: {
      new: 13,
      fixed: 13,
      persisting: 0,
      changed_severity: 0,
      not_retested: 0,
    },
    critical: {
      new: 5,
      fixed: 5,
      persisting: 0,
      changed_severity: 0,
      not_retested: 0,
    },
  },
  items: [
    {
      status: 'new',
      reason: null,
      finding_id: '4410ca4cffe2abe2261077102c6574e5',
      host: '192.0.2.17',
      plugin_id: '100931',
      plugin_name: 'Ubuntu 16.04 LTS : linux-hwe, linux-meta-hwe vulnerabilities (USN-3333-1) (Stack Clash)',
      plugin_family: 'Ubuntu Local Security Checks',
      port: 0,
      protocol: 'TCP',
      severity: '4',
      base_severity: null,
      head_severity: '4',
      cvss_score: 9.8,
    },
    {
      status: 'new',
      reason: null,
      finding_id: '6c8d9542de0c875bf730691cbf6f1330',
      host: '192.0.2.17',
      plugin_id: '101151',
      plugin_name: 'Ubuntu 16.04 LTS : linux-hwe vulnerabilities (USN-3342-2)',
      plugin_family: 'Ubuntu Local Security Checks',
      port: 0,
      protocol: 'TCP',
      severity: '4',
      base_severity: null,
      head_severity: '4',
      cvss_score: 9.8,
    },
  ],
  next_cursor: 'WzIsInBzRWU2Z0pDYzFmM3hRU3YiXQ',
  base_quality: {
    verdict: 'complete',
    reasons: [],
    stopped_early: false,
    ended_as: 'completed',
    hosts: {
      listed: 7,
      alive: 7,
      incomplete: 0,
    },
    targets_missing: {
      count: 0,
      examples: [],
    },
    credentials: {
      requested: false,
      status: 'not_applicable',
      hosts: {
        success: 0,
        partial: 0,
        failed: 0,
        none_provided: 7,
        unknown: 0,
      },
      by_protocol: {},
    },
    privilege: {
      sufficient: 0,
      insufficient: 0,
      unknown: 7,
    },
    plugin_set: {
      version: '202611010000',
      age_days: 24.8,
    },
    port_ranges: ['default'],
  },
  head_quality: {
    verdict: 'complete',
    reasons: [],
    stopped_early: false,
    ended_as: 'completed',
    hosts: {
      listed: 7,
      alive: 7,
      incomplete: 0,
    },
    targets_missing: {
      count: 0,
      examples: [],
    },
    credentials: {
      requested: false,
      status: 'not_applicable',
      hosts: {
        success: 0,
        partial: 0,
        failed: 0,
        none_provided: 7,
        unknown: 0,
      },
      by_protocol: {},
    },
    privilege: {
      sufficient: 0,
      insufficient: 0,
      unknown: 7,
    },
    plugin_set: {
      version: '202611010000',
      age_days: 24.8,
    },
    port_ranges: ['default'],
  },
};

export const FOUND: SearchAnswer = {
  findings: [
    {
      task_id: 'ne_ness_20261125_195018_2253b5c6',
      completed_at: '2026-11-25T19:50:19.544Z',
      is_latest: true,
      finding_id: '440ebf1ff7f65bf071d698e0f13742f6',
      host: '192.0.2.17',
      port: '0',
      protocol: 'TCP',
      plugin_id: '100667',
      plugin_name: 'Ubuntu 16.04 LTS : linux-hwe vulnerability (USN-3313-2)',
      plugin_family: 'Ubuntu Local Security Checks',
      severity: '3',
      cvss_score: 9.3,
      cve: ['CVE-2017-0605'],
      exploit_available: false,
      synopsis: 'The remote Ubuntu host is missing one or more security-related\npatches.',
    },
    {
      task_id: 'ne_ness_20261125_195018_2253b5c6',
      completed_at: '2026-11-25T19:50:19.544Z',
      is_latest: true,
      finding_id: '431bd4f3c504aab5dd31e71d79bf9c64',
      host: '192.0.2.19',
      port: '3389',
      protocol: 'tcp',
      plugin_id: '42873',
      plugin_name: 'SSL Medium Strength Cipher Suites Supported (SWEET32)',
      plugin_family: 'General',
      severity: '3',
      cvss_score: 7.5,
      cve: ['CVE-2016-2183'],
      exploit_available: false,
      synopsis: 'The remote service supports the use of medium strength SSL ciphers.',
    },
  ],
  groups: [],
  tasks_searched: 2,
  complete: false,
  next_cursor: 'ne_ness_20261125_195018_2253b5c6.WzIsIk5XUlYwSVNIQTdmc0c3VzgiXQ',
};

export const FOUND_GROUPS: SearchAnswer = {
  findings: [],
  groups: [
    {
      key: '58987',
      name: 'PHP Unsupported Version Detection',
      severity: '4',
      findings: 2,
      hosts: 1,
      host_examples: ['192.0.2.22'],
    },
    {
      key: '100931',
      name: 'Ubuntu 16.04 LTS : linux-hwe, linux-meta-hwe vulnerabilities (USN-3333-1) (Stack Clash)',
      severity: '4',
      findings: 1,
      hosts: 1,
      host_examples: ['192.0.2.17'],
    },
  ],
  tasks_searched: 3,
  complete: false,
  next_cursor: 'WzIsInUxZDRQOGxTY1RfY1NNQXgiXQ',
};

export const REPORT_HTML =
  '<!doctype html>\n<html lang="en"><head><title>Weekly scan of the DMZ</title></head><body>…</body></html>\n';

export const RAW_EXPORT = '<?xml version="1.0" ?>\n<NessusClientData_v2>…</NessusClientData_v2>\n';
