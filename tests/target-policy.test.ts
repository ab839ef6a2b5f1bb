/** What may be scanned, asked of the real programs: at the submission, and again before anything is made on a scanner. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createService, type DnsStub, restClient, startDnsStub, type TestService } from '@scanmq/testkit';

let dns: DnsStub;
/** Where names lead now. */
const zone = new Map<string, readonly string[]>();
let service: TestService;
let api: ReturnType<typeof restClient>;

beforeAll(async () => {
  dns = await startDnsStub((name) => zone.get(name) ?? 'not_there');
  service = await createService({
    redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '',
    scanners: [{ limit: 1 }],
    env: { DNS_SERVERS: dns.address, TARGETS_DENY: '203.0.113.0/24', MAX_HOSTS_PER_SCAN: '256' },
  });
  const [gateway] = await Promise.all([service.startGateway(), service.startWorker()]);
  api = restClient(gateway.url);
});
afterAll(async () => {
  await service.close();
  await dns.close();
});

const refused = async (targets: string) => {
  const answer = await api.call('POST', '/api/v1/scans', { targets, name: 'refused' });
  return [answer.status, answer.json().code, answer.json().detail];
};

describe('a submission', () => {
  it.each([
    ['127.0.0.1', 'loopback'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['localhost', 'loopback'],
    ['169.254.169.254', 'metadata'],
    ['fe80::1', 'local link'],
    ['239.1.2.3', 'multicast'],
    ['203.0.113.9', 'TARGETS_DENY'],
    ['2002:cb00:7109::1', 'TARGETS_DENY'],
    ['10.0.0.0/16', '65536 hosts, more than the 256'],
    ['nowhere.example', 'cannot be resolved'],
  ])('for %s is refused: %s', async (targets, why) =>
    expect(await refused(targets)).toEqual([403, 'target_refused', expect.stringContaining(why)]),
  );

  it('for a name is refused when one of its addresses is denied', async () => {
    zone.set('both.example', ['192.0.2.1', '10.0.0.1']);
    await api.ended((await api.submit({ targets: 'both.example', name: 'allowed' })).task_id);
    zone.set('both.example', ['192.0.2.1', '127.0.0.1']);
    expect(await refused('both.example')).toEqual([
      403,
      'target_refused',
      expect.stringContaining('127.0.0.1'),
    ]);
    zone.set('both.example', ['192.0.2.1', '203.0.113.1']);
    expect((await refused('both.example'))[1]).toBe('target_refused');
  });

  it('for a name in letters beyond ASCII says how it is written', async () => {
    const [status, code, detail] = await refused('bücher.example');
    expect([status, code]).toEqual([400, 'invalid_request']);
    expect(detail).toContain("write it as 'xn--bcher-kva.example'");
  });

  it('goes to the scanner as it was read, whatever stood between the targets', async () => {
    const task = await api.submit({
      targets: ' 192.0.2.1;192.0.2.2\u00a0\n192.0.2.3-4 ',
      name: 'separators',
    });
    expect(await api.ended(task.task_id)).toMatchObject({ status: 'completed' });
    const scan = service.simulators[0]?.scans().find(({ name }) => name.includes(task.task_id));
    expect(scan?.targets).toBe('192.0.2.1,192.0.2.2,192.0.2.3-4');
  });
});

describe('a name that leads elsewhere after the submission', () => {
  it('is refused before anything is made on the scanner', async () => {
    zone.set('turns.example', ['192.0.2.9']);
    const late = await createService({
      redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '',
      env: { DNS_SERVERS: dns.address },
    });
    try {
      const other = restClient((await late.startGateway()).url);
      const turned = await other.submit({ targets: 'turns.example', name: 'turns' });
      zone.set('turns.example', ['127.0.0.1']);
      await late.startWorker();
      expect(await other.ended(turned.task_id)).toMatchObject({
        status: 'failed',
        nessus_scan_id: null,
        error: { code: 'target_refused', retryable: false, message: expect.stringContaining('127.0.0.1') },
      });
      expect(late.simulators[0]?.scans()).toEqual([]);
      expect(late.simulators[0]?.stats().created).toBe(0);
    } finally {
      await late.close();
    }
  });
});

describe('without a list', () => {
  it('a name that nobody here knows is accepted, one that leads to loopback is not', async () => {
    const open = await createService({
      redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '',
      env: { DNS_SERVERS: dns.address },
    });
    try {
      const [gateway] = await Promise.all([open.startGateway(), open.startWorker()]);
      const other = restClient(gateway.url);
      zone.set('home.example', ['::1']);
      const answer = await other.call('POST', '/api/v1/scans', { targets: 'home.example', name: 'no' });
      expect(answer.json()).toMatchObject({ code: 'target_refused' });
      const { task_id } = await other.submit({ targets: 'app.example.test', name: 'yes' });
      expect(await other.ended(task_id)).toMatchObject({ status: 'completed' });
    } finally {
      await open.close();
    }
  });
});
