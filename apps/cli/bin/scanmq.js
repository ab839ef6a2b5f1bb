#!/usr/bin/env node
// The built program lies in dist; this file is what npm links, so it must exist before anything is built. As a bundle
// (scripts/bundle.mjs) it starts faster; `npm run dev` does without, and builds only what changes.
import { existsSync } from 'node:fs';

const bundle = new URL('../dist/bundle/main.js', import.meta.url);
try {
  await import(existsSync(bundle) ? bundle.href : '../dist/main.js');
} catch (error) {
  if (error?.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  process.stderr.write(
    `scanmq is not built yet: run "npm run setup" in the repository.\n(${error.message})\n`,
  );
  process.exitCode = 4;
}
