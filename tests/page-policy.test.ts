/** What browsers are told of each answer, and that dashboard, documentation and reports work under it in Chromium. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  CANARY,
  createService,
  openBrowser,
  openWatchedPage,
  restClient,
  type TestService,
} from '@scanmq/testkit';

const EVIL = 'http://evil.example';
const HOSTILE = `<script>${CANARY}('script')</script><img src="${EVIL}/x" onerror="${CANARY}('img')"><svg onload="${CANARY}('svg')">`;
const EXPORT = `<?xml version="1.0" ?><NessusClientData_v2><Policy><policyName>p</policyName></Policy><Report name="r">
<ReportHost name="192.0.2.1"><HostProperties><tag name="host-ip">192.0.2.1</tag></HostProperties>
<ReportItem port="0" svc_name="general" protocol="tcp" severity="2" pluginID="1" pluginName="One" pluginFamily="General"><plugin_output>quiet</plugin_output></ReportItem>
<ReportItem port="1" svc_name="general" protocol="tcp" severity="4" pluginID="2" pluginName="Two" pluginFamily="General"><plugin_output>${HOSTILE.replaceAll('<', '&lt;')}</plugin_output></ReportItem>
</ReportHost></Report></NessusClientData_v2>`;

type Browser = Awaited<ReturnType<typeof openBrowser>>;
let service: TestService;
let browser: Browser;
let api: ReturnType<typeof restClient>;
let task = '';

beforeAll(async () => {
  browser = await openBrowser();
  service = await createService({ redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '' });
  const [gateway] = await Promise.all([service.startGateway(), service.startWorker()]);
  api = restClient(gateway.url);
  const scan = await api.submit({
    targets: '192.0.2.1',
    name: HOSTILE.slice(0, 200),
    scan_type: 'untrusted',
  });
  await api.ended(scan.task_id);
  const response = await fetch(
    `${api.url}/api/v1/imports?name=${encodeURIComponent(HOSTILE.slice(0, 200))}`,
    {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: EXPORT,
    },
  );
  task = ((await response.json()) as { task_id: string }).task_id;
  expect(await api.ended(task)).toMatchObject({ status: 'completed' });
});
afterAll(async () => {
  await browser.close();
  await service.close();
});

/** A page with everything that its policy stopped, and every error that its console shows. */
async function open(path: string) {
  const watched = await openWatchedPage(browser, [api.url, 'data:']);
  const complaints: string[] = [];
  watched.page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  await watched.page.addInitScript(
    `window.violations = [];
     addEventListener('securitypolicyviolation', (event) =>
       violations.push([event.effectiveDirective, event.blockedURI, event.sample, event.sourceFile, event.lineNumber].join(' ')));`,
  );
  await watched.page.goto(`${api.url}${path}`, { waitUntil: 'networkidle' });
  const stopped = async (): Promise<unknown> => await watched.page.evaluate('window.violations');
  return { ...watched, complaints, stopped };
}

const NOTHING = { executed: [], requests: [], dialogs: [], popups: [], downloads: [], errors: [] };

describe('the dashboard', () => {
  it('works under its policy, and runs nothing that a task is called', async () => {
    const { page, context, deeds, complaints, stopped } = await open('/dashboard');
    await page.getByText('nessus', { exact: true }).first().click();
    await page.waitForURL('**/queue/nessus*');
    await page.goto(`${page.url().split('?')[0]}?status=completed`, { waitUntil: 'networkidle' });
    await page.getByText(`${CANARY}('script')`).first().waitFor();
    await page.getByText(`${CANARY}('script')`).first().click();
    await page.waitForLoadState('networkidle');
    expect(await page.content()).not.toContain('fonts.googleapis');
    expect(deeds).toMatchObject(NOTHING);
    expect(await stopped()).toEqual([]);
    expect(complaints).toEqual([]);
    await context.close();
  });
});

describe('the documentation', () => {
  it('works under its policy', async () => {
    const { page, context, deeds, complaints, stopped } = await open('/docs');
    await page.locator('.opblock-summary-control').first().click();
    await page.locator('.opblock-body').first().waitFor();
    await page.getByRole('button', { name: 'Try it out' }).first().click();
    expect(deeds).toMatchObject(NOTHING);
    expect(await stopped()).toEqual([]);
    expect(complaints).toEqual([]);
    await context.close();
  });
});

describe('a report', () => {
  it('filters in its sandbox, and runs nothing else', async () => {
    const { page, context, deeds, complaints, stopped } = await open(`/api/v1/scans/${task}/report`);
    const search = page.locator('#filter input[type=search]');
    await search.fill('quiet');
    await page.getByText(/Filtered: 1 of/).waitFor();
    await search.press('Enter');
    expect(deeds).toMatchObject(NOTHING);
    expect(await stopped()).toEqual([]);
    expect(complaints).toEqual([]);
    // what is there belongs to nobody: neither the dashboard's session nor its storage is within reach
    expect(await page.evaluate('self.origin')).toBe('null');
    await context.close();
  });
});

describe('every answer', () => {
  it.each([
    ['data', '/api/v1/scans', 200, 'private, no-cache'],
    ['a pool without tag', '/api/v1/imports', 405, 'no-store'],
    ['an error', '/api/v1/scans/none', 404, 'no-store'],
    ['nothing there', '/nowhere', 404, 'no-store'],
    ['an address that cannot be decoded', '/api/v1/scans/%E0%A4%A', 400, 'no-store'],
    ['metrics', '/metrics', 200, 'no-store'],
    ['MCP', '/mcp', 405, 'no-store'],
  ])('says that it is no page and is not to be kept: %s', async (_, path, status, caching) => {
    const answer = await api.call('GET', path);
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-security-policy')).toMatch(/^default-src 'none'/);
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(answer.headers.get('cache-control')).toBe(caching);
    for (const name of ['server', 'x-powered-by', 'strict-transport-security'])
      expect(answer.headers.get(name)).toBeNull();
  });

  it('allows no script in a page but those from here, or those that it names by their hash', async () => {
    for (const path of ['/dashboard', '/docs', `/api/v1/scans/${task}/report`]) {
      const { headers } = await api.call('GET', path);
      const policy = headers.get('content-security-policy') ?? '';
      expect(policy).toMatch(/script-src ('self'|'sha256-[^']+')(;|$)/);
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toMatch(/unsafe|\*/);
      expect(headers.get('referrer-policy')).toBe('no-referrer');
      expect(headers.get('cross-origin-opener-policy')).toBe('same-origin');
      expect(headers.get('cross-origin-resource-policy')).toBe('same-origin');
      expect(headers.get('permissions-policy')).toContain('camera=()');
    }
  });

  it('insists on https where clients come by that', async () => {
    const { url } = await service.startGateway({ PUBLIC_URL: 'https://scans.example.com' });
    const { headers } = await restClient(url).call('GET', '/health');
    expect(headers.get('strict-transport-security')).toBe('max-age=31536000');
  });
});
