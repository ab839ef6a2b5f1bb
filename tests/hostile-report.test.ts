/** Reports over findings whose every text attacks the reader, in a real browser: nothing runs, loads or leads away. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  CANARY,
  createService,
  openBrowser,
  openWatchedPage,
  type PageDeeds,
  restClient,
  type TestService,
  until,
} from '@scanmq/testkit';

const EVIL = 'http://evil.example';
const HOSTILE = [
  `<script>${CANARY}('script')</script>`,
  `</script></style></title></pre></textarea><img src="${EVIL}/img" onerror="${CANARY}('onerror')">`,
  `<svg onload="${CANARY}('svg')"><animate onbegin="${CANARY}('animate')" attributeName="x" dur="1s"></svg>`,
  `" onmouseover="${CANARY}('mouseover')" autofocus onfocus="${CANARY}('focus')" x="`,
  `' onclick='${CANARY}(1)' style='background:url(${EVIL}/style)`,
  `<meta http-equiv="refresh" content="0;url=${EVIL}/refresh">`,
  `<base href="${EVIL}/"><link rel="stylesheet" href="${EVIL}/css"><link rel="prefetch" href="${EVIL}/prefetch">`,
  `<style>@import url(${EVIL}/import); body{background:url(${EVIL}/background)} *{display:none!important}</style>`,
  `<iframe srcdoc="<script>parent.${CANARY}('srcdoc')</script>"></iframe><iframe src="javascript:parent.${CANARY}('frame')"></iframe>`,
  `<object data="${EVIL}/object"></object><embed src="${EVIL}/embed"><video src="${EVIL}/video" autoplay></video>`,
  `<form action="${EVIL}/form"><input name=a><button formaction="javascript:${CANARY}('form')">Go</button></form>`,
  `<a href="javascript:${CANARY}('link')" ping="${EVIL}/ping">click</a>`,
  `javascript:${CANARY}('see_also')`,
  `data:text/html,<script>${CANARY}('data')</script>`,
  `{{constructor.constructor('${CANARY}(1)')()}} \${${CANARY}('template')} <%= ${CANARY}('erb') %> #{${CANARY}(1)}`,
  `--><!--<img src=x onerror="${CANARY}('comment')">`,
  `<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=${CANARY}('mxss')&gt;">`,
  `<scr\u0000ipt>${CANARY}('nul')</scr\u0000ipt>`,
  `&lt;script&gt;${CANARY}('decoded twice')&lt;/script&gt;`,
  `\u2028${CANARY}('separator')\u2029`,
];

const xml = (text: string): string =>
  text.replaceAll('\u0000', '').replace(/[<>&"']/g, (character) => `&#${character.charCodeAt(0)};`);

/** @param severities of the findings, so that two exports differ in every way. */
function hostileExport(severities: readonly number[]): string {
  const hosts = HOSTILE.map((text, index) => {
    const all = xml(text);
    return `<ReportHost name="${xml(text.slice(0, 200))}"><HostProperties><tag name="host-ip">192.0.2.${index + 1}</tag>
<tag name="host-fqdn">${all}</tag><tag name="operating-system">${all}</tag><tag name="HOST_START">Mon Nov 23 10:00:00 2026</tag></HostProperties>
${severities
  .map(
    (
      severity,
    ) => `<ReportItem port="${443 + severity}" svc_name="${xml(text.slice(0, 60))}" protocol="tcp" severity="${severity}" pluginID="${1000 + index}" pluginName="${all}" pluginFamily="${all}">
<description>${all}</description><synopsis>${all}</synopsis><solution>${all}</solution><risk_factor>${all}</risk_factor><see_also>${all}</see_also>
<cve>${all}</cve><xref>${all}</xref><cvss3_vector>${all}</cvss3_vector><plugin_output>${all}</plugin_output></ReportItem>`,
  )
  .join('')}</ReportHost>`;
  });
  return `<?xml version="1.0" ?><NessusClientData_v2><Policy><policyName>p</policyName></Policy><Report name="${xml(HOSTILE[0] ?? '')}">${hosts.join('\n')}</Report></NessusClientData_v2>`;
}

type Browser = Awaited<ReturnType<typeof openBrowser>>;
let service: TestService;
let browser: Browser;
let directory: string;
let url = '';
const tasks: string[] = [];

beforeAll(async () => {
  browser = await openBrowser();
  directory = await mkdtemp(join(tmpdir(), 'scanmq-report-'));
  service = await createService({ redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '' });
  const [gateway] = await Promise.all([service.startGateway(), service.startWorker()]);
  ({ url } = gateway);
  const api = restClient(url);
  for (const severities of [
    [1, 2],
    [2, 4],
  ]) {
    const response = await fetch(`${url}/api/v1/imports?name=${encodeURIComponent(HOSTILE[1] ?? '')}`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: hostileExport(severities),
    });
    expect(response.status).toBe(202);
    const { task_id } = (await response.json()) as { task_id: string };
    expect(await api.ended(task_id)).toMatchObject({ status: 'completed' });
    tasks.push(task_id);
  }
});
afterAll(async () => {
  await browser.close();
  await service.close();
  await rm(directory, { recursive: true, force: true });
});

/**
 * Opens the page and does what a curious reader does: opens, hovers, focuses, clicks, filters, prints.
 * @param awaited what is waited for before the page is closed, beside a moment for what nobody expects.
 */
async function readAsCuriously(address: string, awaited: (deeds: PageDeeds) => boolean = () => true) {
  const { page, context, deeds } = await openWatchedPage(browser, [address]);
  await page.goto(address, { waitUntil: 'load' });
  const links = await page.evaluate(`(() => {
    for (const one of document.querySelectorAll('details')) one.open = true;
    for (const one of document.querySelectorAll('*'))
      for (const name of ['mouseover', 'focus', 'click', 'error', 'load', 'toggle'])
        if (!(name === 'click' && one.closest('a,button,summary,input'))) one.dispatchEvent(new Event(name));
    window.dispatchEvent(new Event('beforeprint'));
    window.dispatchEvent(new Event('afterprint'));
    return Array.from(document.querySelectorAll('[href],[src],[action],[formaction],[ping],[srcdoc],[style]'),
      (one) => one.getAttribute('href') ?? one.outerHTML);
  })()`);
  const text = String(await page.evaluate('document.body.innerText'));
  // whatever was begun has happened by the time that the page answers twice
  await page.evaluate('new Promise((done) => requestAnimationFrame(() => setTimeout(done, 300)))');
  const elements = await page.evaluate(
    `document.querySelectorAll('iframe,object,embed,base,img,video,link,svg [onload],form[action],body meta,body style').length`,
  );
  await until('the page has done what it should', () => awaited(deeds));
  await context.close();
  return { deeds, links: links as string[], text, elements };
}

const NOTHING = { executed: [], requests: [], dialogs: [], popups: [], downloads: [], errors: [] };

describe('the browser of these tests', () => {
  it('runs, loads and follows what an unguarded page has', async () => {
    const file = join(directory, 'unguarded.html');
    await writeFile(
      file,
      `<!doctype html><meta charset=utf-8><body>${HOSTILE.slice(0, 3).join('\n')}</body>`,
    );
    const address = pathToFileURL(file).toString();
    const all = ['onerror', 'script', 'svg'];
    const { deeds } = await readAsCuriously(address, ({ executed }) =>
      all.every((one) => executed.includes(one)),
    );
    expect(deeds.executed.sort()).toEqual(expect.arrayContaining(all));
    expect(deeds.requests).toContain(`${EVIL}/img`);
  });
});

describe('hostile texts in a report', () => {
  const pages = [
    ['a report', () => `/api/v1/scans/${tasks[1]}/report`],
    ['a comparison', () => `/api/v1/scans/${tasks[1]}/compare/${tasks[0]}?format=html`],
  ] as const;

  it.each(pages)('of %s do nothing but be read, as the gateway sends it', async (_, path) => {
    const address = `${url}${path()}`;
    const { deeds, links, text, elements } = await readAsCuriously(address);
    expect(deeds).toEqual({ ...NOTHING, navigations: [address] });
    expect(text).toContain(`${CANARY}('script')`);
    expect(elements).toBe(0);
    for (const link of links) expect(link).toMatch(/^(https?:\/\/|#)/);
  });

  it.each(pages)('of %s do nothing in a saved file either, where no header protects it', async (_, path) => {
    const file = join(directory, 'saved.html');
    await writeFile(file, await (await fetch(`${url}${path()}`)).text());
    const address = pathToFileURL(file).toString();
    const { deeds, elements } = await readAsCuriously(address);
    expect(deeds).toEqual({ ...NOTHING, navigations: [address] });
    expect(elements).toBe(0);
  });

  it.each(pages)(
    'of %s could not run even if a tag got through: its policy allows its own script only',
    async (_, path) => {
      const page = await (await fetch(`${url}${path()}`)).text();
      const file = join(directory, 'injected.html');
      // a refresh is the one thing that no policy stops: escaping alone does, as the tests above show
      const injected = HOSTILE.slice(0, 12).filter((text) => !text.includes('refresh'));
      await writeFile(file, page.replace('<main>', `<main>${injected.join('\n')}`));
      const address = pathToFileURL(file).toString();
      const { deeds } = await readAsCuriously(address);
      expect(deeds.executed).toEqual([]);
      expect(deeds.requests).toEqual([]);
    },
  );
});
