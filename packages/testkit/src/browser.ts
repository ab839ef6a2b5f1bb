/** A real Chromium for tests, and pages that tell whatever they were made to do. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { PATIENCE_MS } from './until.js';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** @throws Error that says what to do where there is no Chromium: a test that needs one does not pass without. */
export async function openBrowser(): Promise<Browser> {
  // biome-ignore lint/style/noProcessEnv: where programs are found on this machine
  const { PATH = '', CHROMIUM_PATH } = process.env;
  const found = [
    ...(CHROMIUM_PATH ? [CHROMIUM_PATH] : []),
    ...PATH.split(delimiter).flatMap((directory) => NAMES.map((name) => join(directory, name))),
    '/Applications/Chromium.app/Contents/MacOS/Chromium',
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  ].find((path) => existsSync(path));
  if (found === undefined) {
    throw new Error(
      'There is no Chromium for this test. Install it with: npm run setup -- --browser (or set CHROMIUM_PATH).',
    );
  }
  return await chromium.launch({
    executablePath: found,
    timeout: PATIENCE_MS,
    // its sandbox needs user namespaces, which containers and root do not have; the pages are our own
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
  });
}

/** What a page did, beside showing itself. */
export interface PageDeeds {
  /** Script that was not the page's own ran: what it said. */
  readonly executed: string[];
  /** Requests for anything else than what may be loaded, also those that a policy stopped later. */
  readonly requests: string[];
  /** Addresses that the main frame went to. */
  readonly navigations: string[];
  readonly dialogs: string[];
  readonly popups: string[];
  readonly downloads: string[];
  /** Errors of scripts. */
  readonly errors: string[];
}

export interface WatchedPage {
  readonly page: Page;
  readonly context: BrowserContext;
  readonly deeds: PageDeeds;
}

/** What hostile text calls, so that it is known to have run. */
export const CANARY = 'scanmqCanary';

/**
 * A page in a context of its own. Nothing but `allowed` reaches the network: everything else is noted and ended.
 * @param allowed addresses that may be asked for; what begins with one of them.
 */
export async function openWatchedPage(browser: Browser, allowed: readonly string[]): Promise<WatchedPage> {
  const context = await browser.newContext();
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const deeds: PageDeeds = {
    executed: [],
    requests: [],
    navigations: [],
    dialogs: [],
    popups: [],
    downloads: [],
    errors: [],
  };
  await context.route('**/*', async (route) => {
    const url = route.request().url();
    if (allowed.some((start) => url.startsWith(start))) return await route.continue();
    deeds.requests.push(url);
    await route.abort();
  });
  await page.exposeFunction(CANARY, (said: unknown) => void deeds.executed.push(String(said)));
  page.on('framenavigated', (frame) => {
    if (frame === page.mainFrame()) deeds.navigations.push(frame.url());
  });
  page.on('dialog', (dialog) => {
    deeds.dialogs.push(dialog.message());
    void dialog.dismiss();
  });
  page.on('popup', (popup) => void deeds.popups.push(popup.url()));
  page.on('download', (download) => void deeds.downloads.push(download.url()));
  page.on('pageerror', (error) => void deeds.errors.push(error.message));
  return { page, context, deeds };
}
