/**
 * Whatever comes over HTTP: never a fault of ours, never silence, never markup that runs, and never a scan of what may not be
 * scanned, by a model of the policy that shares no code with it. A failure names the seed: SCANMQ_FUZZ_SEED repeats it.
 */
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { BlockList, connect, isIPv4, isIPv6 } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createService, type DnsStub, restClient, startDnsStub, type TestService } from '@scanmq/testkit';
import fc from 'fast-check';

const SEED = Number(process.env.SCANMQ_FUZZ_SEED ?? 20_261_125);
const AT_ONCE = 16;
/** Silence is what lasts longer, however busy the machine is. */
const ANSWER_MS = 30_000;
/** Less than the gateway gives somebody who does not go on: whoever has said all must not have to wait for that. */
const ENDED_MS = 9_000;
const MARK = '<fuzz-mark onload=x>';

const ALLOW = ['10.0.0.0/8', '192.0.2.0/24', '2001:db8::/32'];
const DENY = ['10.9.0.0/16', '192.0.2.128/25', '2001:db8:bad::/48'];
/** What is below it may be scanned wherever it leads, as long as that is not denied. */
const BY_NAME = '.named.example';
const NAMES: Readonly<Record<string, readonly string[]>> = {
  'good.example': ['10.1.2.3'],
  'bad.example': ['10.9.0.1'],
  'both.example': ['10.1.2.3', '10.9.0.1'],
  'six.example': ['2001:db8::5'],
  'outside.example': ['198.51.100.1'],
  'ok.named.example': ['198.51.100.1'],
  'bad.named.example': ['10.9.0.1'],
};

let service: TestService;
let dns: DnsStub;
let api: ReturnType<typeof restClient>;
let port = 0;
const known: string[] = [];
const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });

beforeAll(async () => {
  dns = await startDnsStub((name) => NAMES[name] ?? 'not_there');
  service = await createService({
    redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '',
    env: {
      TARGETS_ALLOW: [...ALLOW, BY_NAME].join(' '),
      TARGETS_DENY: DENY.join(' '),
      DNS_SERVERS: dns.address,
      // what is refused because it is too much tells nothing here
      CHANGES_PER_MINUTE: '0',
      MCP_READS_PER_MINUTE: '0',
      MCP_CHANGES_PER_MINUTE: '0',
      // keys that are none are among what is sent, and each change is written down
      AUTH_FAILURES_PER_MINUTE: '0',
      AUDIT_SYNC: 'never',
      MAX_QUEUED_PER_PRINCIPAL: '0',
    },
  });
  const [{ url }, worker] = await Promise.all([service.startGateway(), service.startWorker()]);
  api = restClient(url);
  port = Number(new URL(url).port);
  const done = await api.submit({ scan_type: 'untrusted', targets: '192.0.2.1', name: MARK });
  expect(await api.ended(done.task_id)).toMatchObject({ status: 'completed' });
  // from here on what is accepted waits
  worker.kill('SIGKILL');
  await worker.ended;
  known.push(done.task_id);
  known.push((await api.submit({ scan_type: 'untrusted', targets: '192.0.2.2', name: 'waits' })).task_id);
});
afterAll(async () => {
  agent.destroy();
  await service.close();
  await dns.close();
});

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
}
interface Answered {
  readonly status: number;
  readonly type: string;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  readonly ms: number;
}

/** A stream of events is answered once it has begun. */
async function ask({ method, path, headers, body }: Asked): Promise<Answered> {
  const started = performance.now();
  // Node's client would send the body of a GET or DELETE without saying how long it is
  const sized =
    body === undefined ? headers : { ...headers, 'content-length': String(Buffer.byteLength(body)) };
  return await new Promise((resolve, reject) => {
    const sent = request(
      { agent, host: '127.0.0.1', port, method, path, headers: sized, timeout: ANSWER_MS },
      (answer) => {
        const type = answer.headers['content-type'] ?? '';
        const tell = (text: string): void =>
          resolve({
            status: answer.statusCode ?? 0,
            type,
            headers: answer.headers,
            text,
            ms: performance.now() - started,
          });
        if (type.startsWith('text/event-stream') && path.includes('/events')) {
          tell('');
          sent.destroy();
          return;
        }
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', (chunk: string) => {
          text += chunk;
        });
        answer.on('end', () => tell(text));
        answer.on('error', reject);
      },
    );
    sent.on('timeout', () => sent.destroy(new Error(`no answer within ${ANSWER_MS} ms`)));
    sent.on('error', reject);
    sent.end(body);
  });
}

/** What is wrong with an answer, whatever was asked. */
function wrongWith(asked: Asked, answer: Answered): string | undefined {
  if (answer.status >= 500) return 'it is a fault of ours';
  if (answer.ms > ANSWER_MS) return 'it came too late';
  if (answer.headers['content-security-policy'] === undefined) return 'it has no policy';
  if (answer.headers['x-content-type-options'] !== 'nosniff') return 'its type may be guessed';
  if (answer.type.startsWith('text/html') && answer.text.includes(MARK)) return 'it repeats markup in a page';
  if (answer.text.includes('node_modules') || answer.text.includes(service.directory))
    return 'it tells of our files';
  const problem =
    answer.status >= 400 && asked.method !== 'HEAD' && !/^\/(mcp|dashboard|docs)/.test(asked.path);
  if (!problem) return undefined;
  if (!answer.type.startsWith('application/problem+json')) return `an error of type ${answer.type}`;
  const { code, trace_id: traceId, status } = JSON.parse(answer.text) as Record<string, unknown>;
  if (typeof code !== 'string' || !/^[0-9a-f]{32}$/.test(String(traceId)) || status !== answer.status)
    return 'a problem without code, trace id or status';
  return undefined;
}

/** Sends samples of an arbitrary, always the same for one seed, and looks at each answer. */
async function fuzz(
  arbitrary: fc.Arbitrary<Asked>,
  count: number,
  look: (asked: Asked, answer: Answered) => string | undefined = () => undefined,
): Promise<ReadonlyMap<number, number>> {
  const all = fc.sample(arbitrary, { numRuns: count, seed: SEED });
  const statuses = new Map<number, number>();
  let next = 0;
  const failures: string[] = [];
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (next < all.length && failures.length < 5) {
        const index = next;
        next += 1;
        const asked = all[index];
        if (!asked) return;
        let wrong: string | undefined;
        let status = 0;
        let text = '';
        try {
          const answer = await ask(asked);
          ({ status, text } = answer);
          wrong = wrongWith(asked, answer) ?? look(asked, answer);
        } catch (error) {
          wrong = String(error);
        }
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        if (wrong !== undefined)
          failures.push(
            `seed ${SEED}, request ${index}: ${wrong}\n${JSON.stringify(asked).slice(0, 1_500)}\n${status} ${text.slice(0, 500)}`,
          );
      }
    }),
  );
  expect(failures).toEqual([]);
  return statuses;
}

const NASTY = [
  MARK,
  '../../../../etc/passwd',
  '..\\..\\windows',
  '%2e%2e%2f%2e%2e%2f',
  '....//....//',
  '\u0000',
  'a\r\nSet-Cookie: x=1',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '💥𝒳\u202e\ud83d',
  "' OR 1=1 --",
  '"; DROP TABLE findings; --',
  '$(id)`id`;id|id',
  '{{7*7}}${7*7}<%=7%>',
  '-1',
  '0x7fffffff',
  '1e309',
  '99999999999999999999999',
  'NaN',
  'null',
  'true',
  '',
  ' ',
  '*',
  '?',
  '[',
  'x'.repeat(3_000),
  '2026-13-45T99:99:99Z',
];
const text = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...NASTY) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 60 }) },
  { weight: 1, arbitrary: fc.string({ maxLength: 60 }) },
);
/** Without halves of characters, which no encoding can say. */
const wellFormed = (one: string): string => Buffer.from(one).toString();
/** As a part of an address: mostly encoded, sometimes as it is where HTTP has a way to write it. */
const part = fc.oneof(
  { weight: 4, arbitrary: text.map((one) => encodeURIComponent(wellFormed(one)) || 'x') },
  { weight: 1, arbitrary: text.map((one) => one.replace(/[^!-~]/g, '').replaceAll('#', '') || 'x') },
  {
    weight: 1,
    arbitrary: fc.constantFrom('%', '%zz', '%E0%A4%A', '%00', '%2e%2e%2f', '%c0%ae%c0%ae', '.', '..', ';a=b'),
  },
);
const id = fc.oneof(
  { weight: 3, arbitrary: fc.nat(1).map((index) => known[index] ?? 'none') },
  { weight: 2, arbitrary: fc.constant('ne_ness_20260101_000000_00000000') },
  { weight: 4, arbitrary: part },
);
const VALUES = [
  'json',
  'html',
  'csv',
  'ndjson',
  'sarif',
  'junit',
  'queued',
  'completed',
  'untrusted',
  '1',
  '40',
  '500',
  'critical',
  'medium',
  '-severity',
  'severity',
  'plugin',
  'host',
  'cvss',
  'minimal',
  'full',
  'true',
  '192.0.2.1',
  '2026-01-01T00:00:00Z',
  'CVE-2021-44228',
  'name',
  'all',
  '0',
];
const FIELDS = [
  'limit',
  'cursor',
  'page',
  'page_size',
  'status_filter',
  'scanner_pool',
  'target_filter',
  'pool',
  'target',
  'scan_type',
  'since',
  'until',
  'sort',
  'order',
  'fields',
  'filters',
  'severity',
  'severity_min',
  'plugin',
  'plugin_id',
  'plugin_name',
  'family',
  'cve',
  'host',
  'port',
  'text',
  'query',
  'q',
  'format',
  'group_by',
  'schema_profile',
  'tasks',
  'task_id',
  'last_event_id',
  'verbose',
  'principal',
  '__proto__',
  'constructor',
  'a[b]',
  'exploitable',
  'cvss_min',
  'count',
  'items',
  'policy',
  'fail_on',
  'baseline',
];
const query = fc
  .array(
    fc.tuple(
      fc.oneof({ weight: 8, arbitrary: fc.constantFrom(...FIELDS) }, { weight: 1, arbitrary: part }),
      fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...VALUES) }, { weight: 2, arbitrary: part }),
    ),
    { maxLength: 4 },
  )
  .map((pairs) =>
    pairs.length === 0 ? '' : `?${pairs.map(([name, value]) => `${name}=${value}`).join('&')}`,
  );
/** What Node's client sends at all; the rest comes by raw sockets below. */
const headerText = text.map((one) => one.replace(/[^\t\x20-\x7e\x80-\xff]/g, '').slice(0, 2_000));
const headers = fc.dictionary(
  fc.constantFrom(
    'accept',
    'accept-encoding',
    'range',
    'if-none-match',
    'if-match',
    'if-modified-since',
    'idempotency-key',
    'traceparent',
    'last-event-id',
    'cookie',
    'authorization',
    'x-api-key',
    'x-forwarded-for',
    'x-forwarded-host',
    'x-http-method-override',
    'forwarded',
    'accept-language',
    'x-trace-id',
    'referer',
    'user-agent',
  ),
  fc.oneof(
    headerText,
    fc.constantFrom(
      'text/html',
      'application/json',
      '*/*',
      'text/csv;q=0.1, */*;q=0',
      'bytes=0-1',
      'bytes=-1,999-',
      'gzip',
      'br;q=0',
      '*',
      'W/"x"',
      '"',
      '00-00000000000000000000000000000000-0000000000000000-00',
      'Bearer x',
      'Basic Og==',
    ),
  ),
  { maxKeys: 4 },
);

const READS = [
  '/api/v1/scans/:id',
  '/api/v1/scans/:id/findings',
  '/api/v1/scans/:id/findings/:other',
  '/api/v1/scans/:id/hosts',
  '/api/v1/scans/:id/report',
  '/api/v1/scans/:id/export',
  '/api/v1/scans/:id/compare/:id',
  '/api/v1/scans/:id/gate',
  '/api/v1/scans/:id/events',
  '/api/v1/scans',
  '/api/v1/findings',
  '/api/v1/credentials',
  '/api/v1/dead-letters',
  '/api/v1/dead-letters/:id',
  '/api/v1/scanners',
  '/api/v1/pools',
  '/api/v1/pools/:other',
  '/api/v1/queues/:other',
  '/api/v1/schedules',
  '/api/v1/schedules/:other',
  '/api/v1/webhooks',
  '/api/v1/webhooks/:other',
  '/api/v1/webhooks/:other/deliveries',
  '/health',
  '/health/:other',
  '/metrics',
  '/openapi.json',
  '/docs/:other',
  '/docs/static/:other',
  '/dashboard/:other',
  '/dashboard/static/:other',
  '/dashboard/api/queues',
  '/:other',
  '/api/:other',
];
const CHANGES = [
  '/api/v1/scans',
  '/api/v1/scans/:id/cancel',
  '/api/v1/scans/:other/pause',
  '/api/v1/scans/:other/resume',
  '/api/v1/scans/:other/retry',
  '/api/v1/scans/:id/gate',
  '/api/v1/imports',
  '/api/v1/credentials',
  '/api/v1/schedules',
  '/api/v1/schedules/:other/run',
  '/api/v1/webhooks',
  '/api/v1/webhooks/:other/test',
  '/api/v1/dead-letters/retry',
  '/api/v1/dead-letters/discard',
  '/api/v1/dead-letters/:other/retry',
  '/api/v1/scanners/:other/drain',
  '/:other',
];
const at = (templates: readonly string[]): fc.Arbitrary<string> =>
  fc.tuple(fc.constantFrom(...templates), id, id, part).map(([template, first, second, other]) =>
    template
      .replace(':id', () => first)
      .replace(':id', () => second)
      .replace(':other', () => other),
  );

const reads = fc.record({
  method: fc.constantFrom(
    'GET',
    'GET',
    'GET',
    'GET',
    'HEAD',
    'OPTIONS',
    'PUT',
    'PATCH',
    'DELETE',
    'TRACE',
    'PROPFIND',
  ),
  path: fc.tuple(at(READS), query).map(([path, more]) => `${path}${more}`),
  headers,
});

/** Values of any form, also those that programs trip over. */
const anything = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  text,
  fc.constantFrom<unknown>(null, true, 0, -1, 1e308, 2 ** 53, 0.1, [], {}, [[]], [null], '1', { $gt: '' }),
);
const BODY_FIELDS = [
  'scan_type',
  'targets',
  'name',
  'description',
  'priority',
  'template',
  'scanner_pool',
  'scanner_instance',
  'schema_profile',
  'timeout_hours',
  'idempotency_key',
  'coalesce',
  'credentials',
  'credential_ref',
  'reason',
  'keep_results',
  'scanner',
  'scan_id',
  'history_id',
  'cron',
  'interval',
  'scan',
  'url',
  'events',
  'secret',
  'policy',
  'task_ids',
  'ssh_username',
  'ssh_password',
  '__proto__',
  'constructor',
  'toString',
];
const objects = fc
  .array(fc.tuple(fc.constantFrom(...BODY_FIELDS), anything), { maxLength: 6 })
  .map(
    (fields) =>
      `{${fields.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value) ?? 'null'}`).join(',')}}`,
  );
const body = fc.oneof(
  { weight: 5, arbitrary: objects },
  { weight: 2, arbitrary: anything.map((value) => JSON.stringify(value) ?? '') },
  { weight: 1, arbitrary: text.map(wellFormed) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '',
      '{',
      '[',
      '{"a":1,}',
      '\ufeff{}',
      '[[[['.repeat(2_000),
      `${'['.repeat(20_000)}${']'.repeat(20_000)}`,
      `${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`,
      '{"a":1}{"b":2}',
      '1e999',
      '"\\ud800"',
      '{"__proto__":{"x":1}}',
      '{"constructor":{"prototype":{"x":1}}}',
      `{"name":"${'x'.repeat(300_000)}"}`,
      '-0',
      '--x\r\nContent-Disposition: form-data; name="file"; filename="a.nessus"\r\n\r\n<x',
      '--x\r\nContent-Disposition: form-data; name="__proto__"\r\n\r\n1\r\n--x--\r\n',
      '--x\r\nContent-Disposition: form-data; name="file"; filename="../../a"\r\n\r\n<x/>\r\n--x--\r\n',
      '--x\r\nContent-Disposition: x\r\n\r\n',
      '9'.repeat(4_000),
    ),
  },
);
const contentType = fc.constantFrom(
  'application/json',
  'application/json',
  'application/json',
  'application/json; charset=utf-16',
  'text/plain',
  'text/html',
  'application/x-www-form-urlencoded',
  'multipart/form-data',
  'multipart/form-data; boundary=x',
  'application/xml',
  '',
  ';;',
  'application/json;',
  'application/problem+json',
  'application/octet-stream',
  '*/*',
);
const changes = fc
  .record({
    method: fc.constantFrom('POST', 'POST', 'POST', 'PUT', 'PATCH', 'DELETE'),
    path: fc.tuple(at(CHANGES), query).map(([path, more]) => `${path}${more}`),
    headers: fc.tuple(headers, contentType).map(([some, type]) => ({ ...some, 'content-type': type })),
    body,
  })
  // deleting is what the other tests do; here what is known is to stay
  .map((asked) =>
    asked.method === 'DELETE' ? { ...asked, path: asked.path.replace(known[0] ?? ' ', 'none') } : asked,
  );

const METHODS = [
  'initialize',
  'tools/list',
  'tools/call',
  'resources/list',
  'resources/read',
  'resources/templates/list',
  'prompts/list',
  'prompts/get',
  'completion/complete',
  'ping',
  'logging/setLevel',
  'tasks/get',
  'tasks/cancel',
  'tasks/update',
  'tasks/list',
  'notifications/initialized',
  'notifications/cancelled',
  'server/discover',
  'subscriptions/listen',
  '__proto__',
  '',
];
const TOOLS = [
  'plan_scan',
  'run_untrusted_scan',
  'run_authenticated_scan',
  'get_scan_status',
  'list_tasks',
  'cancel_scan',
  'control_scan',
  'manage_schedules',
  'get_scan_results',
  'search_findings',
  'get_finding',
  'compare_scans',
  'list_scanners',
  'list_pools',
  'get_pool_status',
  'get_queue_status',
  '__proto__',
  'none',
];
const VERSIONS = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25', '2026-07-28', '9999-01-01'];
const params = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      name: fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...TOOLS) }, { weight: 1, arbitrary: anything }),
      arguments: fc.oneof(
        objects.map((one) => JSON.parse(one) as unknown),
        anything,
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record(
      { uri: anything, taskId: anything, cursor: anything, ref: anything, _meta: anything },
      { requiredKeys: [] },
    ),
  },
  { weight: 1, arbitrary: anything },
);
const envelope = fc.record(
  {
    jsonrpc: fc.oneof(
      { weight: 8, arbitrary: fc.constant<unknown>('2.0') },
      { weight: 1, arbitrary: anything },
    ),
    id: fc.oneof(
      { weight: 5, arbitrary: fc.nat() as fc.Arbitrary<unknown> },
      { weight: 1, arbitrary: anything },
    ),
    method: fc.oneof(
      { weight: 4, arbitrary: fc.constant<unknown>('tools/call') },
      { weight: 5, arbitrary: fc.constantFrom<unknown>(...METHODS) },
      { weight: 1, arbitrary: anything },
    ),
    params,
  },
  { requiredKeys: ['jsonrpc', 'method'] },
);
const mcp = fc.record({
  method: fc.constantFrom('POST', 'POST', 'POST', 'POST', 'POST', 'POST', 'GET', 'DELETE', 'PUT'),
  path: fc.constant('/mcp'),
  headers: fc.oneof(
    {
      weight: 3,
      arbitrary: fc.constant<Record<string, string>>({
        accept: 'application/json, text/event-stream',
        'content-type': 'application/json',
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record(
        {
          accept: fc.constantFrom(
            'application/json, text/event-stream',
            'application/json',
            '*/*',
            'text/html',
          ),
          'content-type': fc.oneof(
            { weight: 6, arbitrary: fc.constant('application/json') },
            { weight: 1, arbitrary: contentType },
          ),
          'mcp-protocol-version': fc.oneof(fc.constantFrom(...VERSIONS), headerText),
          'mcp-method': fc.oneof(fc.constantFrom(...METHODS), headerText),
          'mcp-name': fc.oneof(fc.constantFrom(...TOOLS), headerText),
          'mcp-session-id': headerText,
        },
        { requiredKeys: ['accept', 'content-type'] },
      ) as fc.Arbitrary<Record<string, string>>,
    },
  ),
  body: fc.oneof(
    { weight: 8, arbitrary: envelope.map((one) => JSON.stringify(one)) },
    { weight: 1, arbitrary: fc.array(envelope, { maxLength: 3 }).map((some) => JSON.stringify(some)) },
    { weight: 1, arbitrary: body },
  ),
});

/** Networks as Node's own BlockList knows them. */
function blockList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits = ''] = network.split('/');
    list.addSubnet(address, Number(bits), isIPv6(address) ? 'ipv6' : 'ipv4');
  }
  return list;
}
const allowed = blockList(ALLOW);
const denied = blockList(DENY);
const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIPv6(address) ? 'ipv6' : 'ipv4');
const isDenied = (address: string): boolean => denied.check(address, familyOf(address));
const maySee = (address: string): boolean => allowed.check(address, familyOf(address)) && !isDenied(address);

const numberOf = (address: string): bigint =>
  isIPv4(address)
    ? address.split('.').reduce((sum, byte) => sum * 256n + BigInt(byte), 0n)
    : BigInt(
        `0x${new URL(`http://[${address}]`).hostname
          .slice(1, -1)
          .replace(/^(.*)::(.*)$/, (_, head: string, tail: string) => {
            const parts = [head, tail].map((half) => half.split(':').filter(Boolean));
            const missing = 8 - (parts[0]?.length ?? 0) - (parts[1]?.length ?? 0);
            return [...(parts[0] ?? []), ...Array<string>(missing).fill('0'), ...(parts[1] ?? [])].join(':');
          })
          .split(':')
          .map((group) => group.padStart(4, '0'))
          .join('')}`,
      );
const addressOf = (value: bigint, six: boolean): string =>
  six
    ? (value.toString(16).padStart(32, '0').match(/.{4}/g) ?? []).join(':')
    : [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
/** Where the answer of the model may change: both ends of every network, and what lies beside them. */
const edges = [...ALLOW, ...DENY].flatMap((network) => {
  const [address = '', bits = ''] = network.split('/');
  const six = isIPv6(address);
  const first = numberOf(address);
  const size = 1n << BigInt((six ? 128 : 32) - Number(bits));
  return [first - 1n, first, first + size - 1n, first + size].map((value) => ({ six, value }));
});

/** The address of one target that must not be scanned, by the model; it reads what is written in its own way. */
function forbiddenIn(target: string): string | undefined {
  const bare = target.replace(/^\[|\]$/g, '');
  const [begin = '', rest] = bare.split(/[/-]/);
  if (!isIPv4(begin) && !isIPv6(begin)) {
    const addresses = NAMES[bare.toLowerCase().replace(/\.$/, '')];
    return addresses === undefined
      ? `${target}: not a name there is`
      : addresses.find((one) => (bare.toLowerCase().endsWith(BY_NAME) ? isDenied(one) : !maySee(one)));
  }
  const six = isIPv6(begin);
  const width = six ? 128 : 32;
  let first = numberOf(begin);
  let last = first;
  if (rest !== undefined && bare.includes('/')) {
    const size = 1n << BigInt(width - Number(rest));
    first -= first % size;
    last = first + size - 1n;
  } else if (rest !== undefined) {
    last = rest.includes('.') || rest.includes(':') ? numberOf(rest) : first - (first % 256n) + BigInt(rest);
  }
  const points = [
    first,
    last,
    ...edges
      .filter((one) => one.six === six && one.value > first && one.value < last)
      .map((one) => one.value),
  ];
  return points.map((value) => addressOf(value, six)).find((address) => !maySee(address));
}

const near4 = fc
  .tuple(
    fc.constantFrom(
      '10.0.0.0',
      '10.8.255.250',
      '10.9.0.0',
      '10.9.255.255',
      '10.10.0.0',
      '192.0.2.0',
      '192.0.2.127',
      '192.0.2.128',
      '192.0.3.0',
      '9.255.255.255',
      '127.0.0.1',
      '169.254.169.254',
      '0.0.0.0',
      '255.255.255.255',
    ),
    fc.integer({ min: -3, max: 3 }),
  )
  .map(([base, offset]) => addressOf((numberOf(base) + BigInt(offset) + (1n << 32n)) % (1n << 32n), false));
const near6 = fc.constantFrom(
  '2001:db8::1',
  '2001:db8:bad::',
  '2001:db8:bac:ffff:ffff:ffff:ffff:ffff',
  '2001:db8:bae::',
  '2001:DB8:0:0::7',
  '2001:db9::',
  '::1',
  '::ffff:10.0.0.1',
  '::ffff:10.9.0.1',
  '::ffff:a00:1',
  '64:ff9b::a09:1',
  '2002:a09:1::',
  'fe80::1',
  '::',
  'ff02::1',
);
const target = fc.oneof(
  near4,
  near6,
  fc.tuple(near4, fc.integer({ min: 0, max: 33 })).map(([address, bits]) => `${address}/${bits}`),
  fc.tuple(near6, fc.integer({ min: 100, max: 129 })).map(([address, bits]) => `${address}/${bits}`),
  fc.tuple(near4, near4).map(([a, b]) => `${a}-${b}`),
  fc.tuple(near4, fc.nat(300)).map(([a, b]) => `${a}-${b}`),
  fc.constantFrom(
    ...Object.keys(NAMES),
    'GOOD.example.',
    'none.example',
    'localhost',
    '0x0a090001',
    '012.9.0.1',
    '10.9.1',
    '167837697',
    '１０.9.0.1',
  ),
  fc.string({ maxLength: 20 }),
);
const submissions = fc
  .record({
    targets: fc
      .array(
        fc.oneof(
          { weight: 6, arbitrary: fc.constantFrom('10.1.1.1', '192.0.2.5', '2001:db8::9') },
          { weight: 4, arbitrary: target },
        ),
        { minLength: 1, maxLength: 2 },
      )
      .chain((some) => fc.constantFrom(' ', ',', '\n', ', ').map((between) => some.join(between))),
    name: fc.oneof(
      { weight: 4, arbitrary: fc.constant('scan') },
      { weight: 1, arbitrary: text.map(wellFormed) },
    ),
    odd: fc.oneof(
      { weight: 8, arbitrary: fc.constant(undefined) },
      {
        weight: 2,
        arbitrary: fc.tuple(
          fc.constantFrom('priority', 'description', 'scanner_pool', 'timeout_hours', 'TARGETS', 'target'),
          anything,
        ),
      },
    ),
  })
  .map(
    ({ targets, name, odd }): Asked => ({
      method: 'POST',
      path: '/api/v1/scans',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ scan_type: 'untrusted', targets, name, ...(odd ? { [odd[0]]: odd[1] } : {}) }),
    }),
  );

async function servesOn(): Promise<void> {
  const answer = await api.submit({ scan_type: 'untrusted', targets: '10.1.2.3', name: 'afterwards' });
  expect(await api.status(answer.task_id)).toMatchObject({ status: 'queued' });
  expect((await api.call('GET', `/api/v1/scans/${known[0]}/findings`)).status).toBe(200);
}

describe(`generated requests (seed ${SEED})`, () => {
  it('that read are answered, whatever they ask for', async () => {
    const statuses = await fuzz(reads, 4_500);
    // the search found both what is there and what is not
    expect(statuses.get(200)).toBeGreaterThan(300);
    expect(statuses.get(404)).toBeGreaterThan(300);
    await servesOn();
  }, 180_000);

  it('that change something are answered, whatever they bring', async () => {
    const statuses = await fuzz(changes, 2_500);
    expect(statuses.get(400)).toBeGreaterThan(300);
    await servesOn();
  }, 180_000);

  it('of MCP are answered, whatever their envelope', async () => {
    const statuses = await fuzz(mcp, 1_500);
    expect(statuses.get(200)).toBeGreaterThan(100);
    await servesOn();
  }, 180_000);

  it('never make a scan of what may not be scanned', async () => {
    const statuses = await fuzz(submissions, 2_000, (asked, answer) => {
      if (answer.status !== 202) return undefined;
      const { targets } = JSON.parse(asked.body ?? '{}') as { targets: string };
      const bad = targets
        .split(/[\s,;]+/)
        .filter(Boolean)
        .map((one) => forbiddenIn(one))
        .find((one) => one !== undefined);
      return bad === undefined ? undefined : `it would scan ${bad}`;
    });
    expect(statuses.get(202)).toBeGreaterThan(200);
    expect(statuses.get(403)).toBeGreaterThan(200);
    await servesOn();
  }, 180_000);

  it('that are hardly HTTP are answered or ended, and nothing else', async () => {
    const line = fc.oneof(
      fc.constantFrom(
        'GET / HTTP/1.1',
        'GET /api/v1/scans HTTP/1.1',
        'POST /api/v1/scans HTTP/1.1',
        'GET /api/v1/scans HTTP/9.9',
        'GET  HTTP/1.1',
        'CONNECT a:1 HTTP/1.1',
        'GET http://evil.example/ HTTP/1.1',
        'GET //../../etc/passwd HTTP/1.1',
        'PRI * HTTP/2.0',
        'OPTIONS * HTTP/1.1',
        'GET /dashboard/../../etc/passwd HTTP/1.0',
        '\u0000',
        'GET /docs/static/..%2f..%2fpackage.json HTTP/1.1',
      ),
      fc.string({ unit: 'binary', maxLength: 80 }),
    );
    const header = fc.oneof(
      fc.constantFrom(
        'Host: 127.0.0.1',
        'Host: 127.0.0.1',
        'Host: evil.example',
        'Transfer-Encoding: chunked',
        'Transfer-Encoding: gzip, chunked',
        'Transfer-Encoding: \u000bchunked',
        'Content-Length: 5',
        'Content-Length: -1',
        'Content-Length: 5, 6',
        'Content-Length: 99999999999999999999',
        'Expect: 100-continue',
        'Expect: nothing',
        'Upgrade: websocket',
        'Connection: Upgrade',
        'Content-Type: application/json',
        'X: a\u0000b',
        'X: a\rb',
        ' folded: x',
        'Host : 127.0.0.1',
        ': empty',
        'Origin: null',
        'Cookie: __Host-scanmq=x',
        'Trailer: X',
      ),
      fc.tuple(headerText, headerText).map(([name, value]) => `${name}: ${value}`),
    );
    const raw = fc
      .tuple(
        line,
        fc.array(header, { maxLength: 5 }),
        fc.constantFrom(
          '',
          '5\r\nhello\r\n0\r\n\r\n',
          'zz\r\n',
          '{"a":1}',
          'ffffffffffffffffff\r\n',
          '0\r\nX: y\r\n\r\nGET / HTTP/1.1\r\n\r\n',
        ),
      )
      .map(([first, some, rest]) => `${[first, ...some].join('\r\n')}\r\n\r\n${rest}`);
    const failures: string[] = [];
    const all = fc.sample(raw, { numRuns: 500, seed: SEED });
    await Promise.all(
      Array.from({ length: AT_ONCE }, async (_, lane) => {
        for (let index = lane; index < all.length; index += AT_ONCE) {
          const socket = connect(port, '127.0.0.1');
          let heard = '';
          socket.on('data', (chunk) => {
            heard += String(chunk);
          });
          socket.on('error', () => undefined);
          await once(socket, 'connect');
          const closed = new Promise((resolve) => socket.once('close', resolve));
          // whoever has said everything hears the answer, or the end
          socket.end(all[index] ?? '');
          const timer = setTimeout(() => socket.destroy(new Error('silence')), ENDED_MS);
          let silent = false;
          socket.once('error', (error) => {
            silent = error.message === 'silence';
          });
          await closed;
          clearTimeout(timer);
          if (silent || /^HTTP\/1\.1 5/.test(heard) || heard.includes('root:'))
            failures.push(
              `seed ${SEED}, request ${index}: ${JSON.stringify(all[index])}\n${heard.slice(0, 300)}`,
            );
        }
      }),
    );
    expect(failures.slice(0, 5)).toEqual([]);
    await servesOn();
  });
});
