import { hash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import {
  COMPARISON_STATUSES,
  type Comparison,
  type ComparisonItem,
  type ComparisonStatus,
  type Quality,
  SEVERITY_NAMES,
} from '@scanmq/contract';
import type { Finding } from '../finding.js';
import type { RenderedTask, ReportInput } from '../render-input.js';
import { type ComparisonReportInput, renderComparison, renderReport } from './index.js';

const HOSTILE = [
  '<script>alert(1)</script>',
  '</script></style></title></pre><img src=x onerror=alert(1)>',
  '" onmouseover="alert(1)" x="',
  "' autofocus onfocus='alert(1)",
  ']]><!--',
  '--><svg/onload=alert(1)>',
  'javascript:alert(1)',
  '&lt;b&gt;&#60;b&#62;',
  '${alert(1)} {{alert(1)}} `',
  'a\u202Eb\u2066c\u0000\u0008\u001b[2Jd\u0085e',
  '\ud800 half',
];
const HARMLESS = 'plain';

const task = (text: string): RenderedTask => ({
  task_id: text,
  name: text,
  targets: text,
  scan_type: text,
  scanner_pool: text,
  scanner_instance: text,
  started_at: text,
  completed_at: text,
  simulator: true,
  imported: true,
});

const quality = (verdict: Quality['verdict'], text = 'x'): Quality => ({
  verdict,
  reasons: verdict === 'complete' ? [] : verdict === 'unusable' ? ['nothing_scanned'] : ['stopped_early'],
  stopped_early: verdict === 'limited',
  ended_as: text,
  hosts: { listed: 4, alive: verdict === 'unusable' ? 0 : 3, incomplete: 1 },
  targets_missing: { count: 7, examples: [text] },
  credentials: {
    requested: true,
    status: 'partial',
    hosts: { success: 1, partial: 0, failed: 2, none_provided: 0, unknown: 0 },
    by_protocol: { [text]: { success: 1, partial: 2, failed: 3 } },
  },
  privilege: { sufficient: 1, insufficient: 2, unknown: 0 },
  plugin_set: { version: text, age_days: 45.2 },
  port_ranges: [text],
});

const FIELDS =
  'finding_id host host_ip plugin_id plugin_name plugin_family port svc_name protocol synopsis description solution see_also risk_factor cvss_vector cvss3_vector vpr_score epss_score exploitability_ease cisa-known-exploited vuln_publication_date patch_publication_date cm:compliance-check-name cm:compliance-result cm:compliance-info cm:compliance-solution plugin_output'.split(
    ' ',
  );

const finding = (text: string, extra: Record<string, unknown> = {}): Finding => ({
  type: 'vulnerability',
  ...Object.fromEntries(FIELDS.map((field) => [field, text])),
  severity: '3',
  cvss_score: 7.5,
  cve: [text],
  xref: [text],
  bid: [text],
  ...extra,
});

async function* stream<T>(values: Iterable<T>): AsyncGenerator<T> {
  yield* values;
}

async function whole(chunks: AsyncIterable<string>): Promise<string> {
  let page = '';
  for await (const chunk of chunks) page += chunk;
  return page;
}

function input(findings: readonly Finding[], text = 'x', over: Partial<ReportInput> = {}): ReportInput {
  return {
    task: task(text),
    summary: {
      hosts_scanned: 3,
      total_vulnerabilities: findings.length,
      total_findings: findings.length,
      severity_breakdown: { critical: 0, high: findings.length, medium: 0, low: 0, info: 0 },
      file_size_kb: 1,
      auth_plugins_found: 0,
      compliance: null,
    },
    quality: quality('limited', text),
    total: findings.length,
    findings: () => stream(findings),
    topPlugins: [
      {
        plugin_id: text,
        plugin_name: text,
        plugin_family: text,
        severity: text,
        cvss_score: 9.8,
        findings: 2,
        hosts: 1,
      },
    ],
    hosts: [{ host: text, critical: 0, high: 2, medium: 0, low: 0, info: 1_234 }],
    hostsTotal: 43,
    doubtfulHosts: [
      {
        host: text,
        ip: `1${text}`,
        aliases: [text],
        operating_system: text,
        started: text,
        ended: text,
        findings: 1,
        alive: true,
        incomplete: true,
        credentials: 'failed',
        credentials_plugin: text,
        logins: [{ protocol: text, outcome: 'failed', plugin_id: text }],
        privilege: 'unknown',
        port_range: text,
        plugin_set: text,
      },
    ],
    generatedAt: new Date('2026-11-23T12:00:00Z'),
    ...over,
  };
}

const item = (status: ComparisonStatus, severity: string, text = 'x'): ComparisonItem => ({
  status,
  reason: status === 'not_retested' ? 'credentials_lower' : null,
  finding_id: text,
  host: text,
  plugin_id: text,
  plugin_name: text,
  plugin_family: text,
  port: 443,
  protocol: text,
  severity,
  base_severity: '1',
  head_severity: severity,
  cvss_score: 5,
});

function comparison(
  items: readonly ComparisonItem[],
  text = 'x',
  over: Partial<ComparisonReportInput> = {},
): ComparisonReportInput {
  const count = (severity?: number): Comparison['counts'] =>
    Object.fromEntries(
      COMPARISON_STATUSES.map((status) => [
        status,
        items.filter(
          (one) => one.status === status && (severity === undefined || one.severity === String(severity)),
        ).length,
      ]),
    ) as Comparison['counts'];
  return {
    comparison: {
      base_task_id: text,
      head_task_id: text,
      counts: count(),
      by_severity: Object.fromEntries(
        SEVERITY_NAMES.map((name, level) => [name, count(level)]),
      ) as Comparison['by_severity'],
      items: [],
      next_cursor: null,
      base_quality: quality('complete', text),
      head_quality: quality('limited', text),
    },
    base: task(text),
    head: task(text),
    items: stream(items),
    maxItems: 1_000,
    generatedAt: new Date('2026-11-23T12:00:00Z'),
    ...over,
  };
}

/** Tags with the names of their attributes; throws at anything that is neither a tag nor text. */
function tagsOf(page: string): string[] {
  const tags: string[] = [];
  // style and script are of our own making, and compared by their hashes
  const body = page.replace(/<(style|script)( nonce="[^"]*")?>[\s\S]*?<\/\1>/g, '<$1$2></$1>');
  const rest = body.replace(
    /<(!doctype|\/?[a-z][a-z0-9]*)((?: [a-zA-Z-]+(?:="[^"<>]*")?)*)\/?>/g,
    (_, name, attributes) => {
      const names = [...String(attributes).matchAll(/ ([a-zA-Z-]+)(?:="[^"]*")?/g)].map((match) => match[1]);
      tags.push(`${name} ${names.join(' ')}`);
      return '';
    },
  );
  expect(rest).not.toMatch(/[<>]/);
  return tags;
}

const reportOf = (text: string): Promise<string> =>
  whole(
    renderReport(input([finding(text), finding(text, { compliance: true })], text), {
      maxFindings: 10,
      nonce: text,
    }),
  );
const comparisonOf = (text: string): Promise<string> =>
  whole(
    renderComparison(
      comparison(
        COMPARISON_STATUSES.map((status) => item(status, '2', text)),
        text,
        { nonce: text },
      ),
    ),
  );

describe.each([
  ['the report of a scan', reportOf],
  ['the report of a comparison', comparisonOf],
])('%s', (_, make) => {
  it.each(HOSTILE)('has the same markup with %j in every field as with plain text', async (text) => {
    expect(tagsOf(await make(text))).toEqual(tagsOf(await make(HARMLESS)));
  });

  it('has no address, style attribute or handler anywhere', async () => {
    const tags = tagsOf(await make(HARMLESS)).join('\n');
    expect(tags).not.toMatch(/ (src|href|style|on[a-z]+|srcset|action)\b/);
    expect(tags).not.toMatch(/^(link|img|iframe|object|embed|base) /m);
  });

  it('allows exactly its own style and script, by their hashes', async () => {
    const page = await make(HARMLESS);
    const blocks = [...page.matchAll(/<(style|script) nonce="plain">([\s\S]*?)<\/\1>/g)];
    expect(blocks.map((block) => block[1])).toEqual(['style', 'script']);
    const [style, script] = blocks.map(
      (block) => `&#39;sha256-${hash('sha256', block[2] ?? '', 'base64')}&#39;`,
    );
    const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page)?.[1] ?? '';
    expect(policy.split('; ')).toEqual([
      'default-src &#39;none&#39;',
      `style-src ${style}`,
      `script-src ${script}`,
      'base-uri &#39;none&#39;',
      'form-action &#39;none&#39;',
    ]);
  });

  it('says that a simulator served it, in the title and before everything else', async () => {
    const page = await make(HARMLESS);
    expect(page).toContain('<title>SIMULATOR');
    const content = page.slice(page.indexOf('<main>'));
    expect(content.indexOf('SIMULATOR')).toBeLessThan(content.indexOf('<h1>'));
  });
});

describe('the report of a scan', () => {
  it.each<[Quality['verdict'], string, string]>([
    ['unusable', 'Unusable', 'No finding means nothing here'],
    ['limited', 'Limited', 'may still be there'],
  ])(
    'that is %s says so on top, at every count and in place of no findings',
    async (verdict, word, meaning) => {
      const page = await whole(
        renderReport(input([], 'x', { quality: quality(verdict) }), { maxFindings: 10 }),
      );
      expect(page).toMatch(new RegExp(`<title>.*${word} scan</title>`));
      const top = page.slice(page.indexOf('<main>'), page.indexOf('id="severities"'));
      expect(top).toContain(`<strong>${word}</strong>`);
      expect(top).toContain(meaning);
      expect(page.match(new RegExp(`<p class="caution ${verdict}">`, 'g'))).toHaveLength(3);
      expect(page).toContain('This is not a clean result');
      expect(page).not.toContain('The scan found nothing.');
    },
  );

  it('that is complete needs no caution', async () => {
    const page = await whole(
      renderReport(input([], 'x', { quality: quality('complete') }), { maxFindings: 10 }),
    );
    expect(page).toContain('The scan found nothing.');
    expect(page).not.toContain('class="caution');
  });

  it('tells what the verdict rests on', async () => {
    const page = await whole(renderReport(input([finding('ssh')], 'ssh'), { maxFindings: 10 }));
    for (const text of [
      'The scan stopped early',
      '3 of 4 alive',
      '1 silent, 1 incomplete',
      '7: ssh and 6 more',
      'Logged in on 1 host, login failed on 2 hosts',
      '<strong>ssh</strong>: 1 ok, 2 partial, 3 failed',
      '1 sufficient, 2 insufficient',
      '45 days old',
      '42 of 43 hosts are not shown',
      '1,234',
    ])
      expect(page).toContain(text);
  });

  it('puts neighbours of one plugin together, and outputs that are the same', async () => {
    const at = (host: string, output: string): Finding =>
      finding('p', { host, host_ip: host, port: '22', protocol: 'tcp', plugin_output: output });
    const page = await whole(
      renderReport(input([at('a', 'same'), at('b', 'same'), at('c', 'other'), finding('q')]), {
        maxFindings: 10,
      }),
    );
    expect(page.match(/<details class="finding"/g)).toHaveLength(2);
    expect(page).toContain('<span class="where">3 hosts</span>');
    expect(page).toContain('a · tcp/22 (p), b · tcp/22 (p)</summary><pre>\nsame</pre>');
  });

  it('says how many findings it leaves out and how to get them, and reads no further', async () => {
    let read = 0;
    async function* many(): AsyncGenerator<Finding> {
      for (; read < 1_000; read += 1) yield finding(`f${read}`);
    }
    const page = await whole(
      renderReport(input([], 'ne_x', { total: 1_000, findings: many }), { maxFindings: 10 }),
    );
    expect(page.match(/<details class="finding"/g)).toHaveLength(10);
    expect(page).toContain('990 of 1,000 findings are left out of this report.');
    expect(page).toContain('GET /api/v1/scans/ne_x/findings?format=csv');
    expect(read).toBeLessThan(12);
  });

  it('says when a filter left findings out', async () => {
    const few = input([finding('x')]);
    const page = await whole(
      renderReport({ ...few, summary: { ...few.summary, total_findings: 50 } }, { maxFindings: 10 }),
    );
    expect(page).toContain('Of 50 findings of the scan, 1 match the filter');
  });

  it('cuts long outputs and says so', async () => {
    const page = await whole(
      renderReport(input([finding('x', { plugin_output: 'y'.repeat(50_000) })]), { maxFindings: 10 }),
    );
    expect(page).toContain('[The first 6,000 of 50,000 characters.]');
    expect(page.length).toBeLessThan(60_000);
  });

  it('links to web addresses only, without telling them where it comes from', async () => {
    const see_also = 'https://a.example/x?y=1&z=2\njavascript:alert(1)\ndata:text/html,x\nftp://b.example';
    const page = await whole(renderReport(input([finding('x', { see_also })]), { maxFindings: 10 }));
    expect([...page.matchAll(/<a [^>]*>/g)].map(([tag]) => tag)).toEqual([
      '<a href="https://a.example/x?y=1&amp;z=2" rel="noreferrer noopener">',
    ]);
  });

  it('is sent while findings are still being read', async () => {
    let read = 0;
    async function* many(): AsyncGenerator<Finding> {
      for (; read < 5_000; read += 1) yield finding(`f${read}`);
    }
    let chunks = 0;
    for await (const chunk of renderReport(input([], 'x', { total: 5_000, findings: many }), {
      maxFindings: 5_000,
    })) {
      if (chunks === 0) {
        expect(chunk).toContain('<strong>Limited</strong>');
        expect(read).toBeLessThan(100);
      }
      expect(chunk.length).toBeLessThan(100_000);
      chunks += 1;
    }
    expect(chunks).toBeGreaterThan(100);
  });

  it('holds only so many places of one plugin at a time', async () => {
    const same = Array.from({ length: 1_200 }, (_, index) => finding('x', { host: `h${index}` }));
    const page = await whole(renderReport(input(same), { maxFindings: 5_000 }));
    expect(page.match(/<details class="finding"/g)).toHaveLength(3);
    expect(page.match(/<span class="mark">continued<\/span>/g)).toHaveLength(2);
    expect(page).not.toContain('left out');
  });
});

describe('the report of a comparison', () => {
  it('has both verdicts on top and says what they mean for the changes', async () => {
    const page = await whole(renderComparison(comparison([item('fixed', '3')])));
    const top = page.slice(page.indexOf('<main>'), page.indexOf('id="counts"'));
    expect(top).toContain('<strong>Complete</strong>');
    expect(top).toContain('<strong>Limited</strong>');
    expect(page).toContain('what is gone is not all fixed');
  });

  it('orders by status and severity, with reasons in words, what persists collapsed', async () => {
    const page = await whole(
      renderComparison(
        comparison([
          item('persisting', '4', 'E'),
          item('not_retested', '2', 'D'),
          item('fixed', '3', 'C'),
          item('new', '1', 'B'),
          item('new', '4', 'A'),
        ]),
      ),
    );
    const list = page.slice(page.indexOf('id="items"'));
    expect([...list.matchAll(/class="name">(\w)/g)].map((match) => match[1]).join('')).toBe('ABCDE');
    expect(list).toContain('could not log in as well as the older one');
    expect(list).toMatch(/<details data-list><summary><h3 class="inline">Persisting/);
  });

  it('keeps what matters most when there is too much, and says what it leaves out', async () => {
    const many = [
      ...Array.from({ length: 30 }, () => item('persisting', '4')),
      ...Array.from({ length: 5 }, (_, index) => item('new', String(index))),
    ];
    const page = await whole(renderComparison(comparison(many, 'ne_x', { maxItems: 4 })));
    expect([...page.matchAll(/<tr data-severity="(\d)"/g)].map((match) => match[1]).join('')).toBe('4321');
    expect(page).toContain('31 of 35 entries are left out of this report.');
    expect(page).toContain('<strong>1 of 5</strong>');
    expect(page).toContain('<strong>30 of 30</strong>');
    expect(page).toContain('GET /api/v1/scans/ne_x/compare/ne_x');
  });

  it('is whole without any change', async () => {
    const page = await whole(renderComparison(comparison([])));
    expect(page.match(/<p class="quiet">None\.<\/p>/g)).toHaveLength(5);
    expect(page).not.toContain('left out');
  });
});
