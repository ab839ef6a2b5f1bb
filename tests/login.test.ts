/** Logging in and out with a browser: a key becomes a session, and nothing of the dashboard is shown without one. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createService, openBrowser, openWatchedPage, runCommand, type TestService } from '@scanmq/testkit';

let service: TestService;
let browser: Awaited<ReturnType<typeof openBrowser>>;
let url: string;
let key: string;
let id: string;

beforeAll(async () => {
  browser = await openBrowser();
  service = await createService({ redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '' });
  url = (await service.startGateway()).url;
  const made = await runCommand(
    ['keys', 'create', '--name', 'olivia', '--role', 'operator', '--json'],
    service.env,
  );
  ({ key, id } = JSON.parse(made.stdout));
});
afterAll(async () => {
  await browser?.close();
  await service?.close();
});

async function openLogin() {
  const watched = await openWatchedPage(browser, [url, 'data:']);
  await watched.page.goto(`${url}/dashboard`);
  return watched;
}

describe('a browser', () => {
  it('is sent to the login page, told when a key is not valid, and shown the dashboard with one that is', async () => {
    const { page, context, deeds } = await openLogin();
    expect(new URL(page.url()).pathname).toBe('/login');
    await page.getByLabel('API key').fill('smq_0123456789abcdef_nonsense');
    await page.getByRole('button', { name: 'Log in' }).click();
    expect(await page.getByRole('alert').textContent()).toBe('This key is not valid.');

    await page.getByLabel('API key').fill(key);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.waitForURL(`${url}/dashboard**`);
    await page.getByText('nessus', { exact: true }).first().waitFor();
    const [cookie] = await context.cookies();
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict' });
    expect(cookie?.value).not.toContain(key);
    expect(deeds.requests).toEqual([]);

    await page.goto(`${url}/login`);
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByLabel('API key').waitFor();
    await page.goto(`${url}/dashboard`);
    expect(new URL(page.url()).pathname).toBe('/login');
    // the cookie that it had is of no use any more
    const answer = await fetch(`${url}/dashboard/api/queues`, {
      headers: { cookie: `${cookie?.name}=${cookie?.value}` },
      redirect: 'manual',
    });
    expect([303, 401]).toContain(answer.status);
    await context.close();
  });

  it('is logged out when its key is revoked', async () => {
    const { page, context } = await openLogin();
    await page.getByLabel('API key').fill(key);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.waitForURL(`${url}/dashboard**`);
    expect((await runCommand(['keys', 'revoke', id], service.env)).code).toBe(0);
    await page.goto(`${url}/dashboard`);
    expect(new URL(page.url()).pathname).toBe('/login');
    await context.close();
  });
});
