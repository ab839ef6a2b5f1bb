// package-lock.json must pin every package by its hash and name no server: what is installed is the same wherever it
// comes from. Usage: node scripts/check-lockfile.mjs [package-lock.json]
import { readFileSync } from 'node:fs';

const [file = 'package-lock.json'] = process.argv.slice(2);
const { packages } = JSON.parse(readFileSync(file, 'utf8'));
const { without_integrity: exceptions } = JSON.parse(
  readFileSync(new URL('supply-chain.json', import.meta.url), 'utf8'),
);

const mistakes = [];
let pinned = 0;
let excepted = 0;
for (const [path, entry] of Object.entries(packages)) {
  const at = path.lastIndexOf('node_modules/');
  if (at < 0 || entry.link) continue;
  const name = path.slice(at + 'node_modules/'.length);
  if (entry.resolved !== undefined) mistakes.push(`${path} names where it was downloaded: ${entry.resolved}`);
  if (/^sha512-[A-Za-z0-9+/]{86}==/.test(entry.integrity ?? '')) pinned += 1;
  else if (entry.integrity !== undefined)
    mistakes.push(`${path} is pinned by a weak hash: ${entry.integrity}`);
  else if (
    entry.optional === true &&
    (entry.os || entry.cpu) &&
    exceptions.names.some((start) => name.startsWith(start))
  )
    excepted += 1;
  else mistakes.push(`${path} has no hash`);
}
if (pinned === 0) mistakes.push('no package is pinned at all');
for (const mistake of mistakes) process.stderr.write(`[lock file] ${mistake}\n`);
process.stdout.write(
  `[lock file] ${pinned} packages pinned by SHA-512, ${excepted} optional builds for other platforms without a hash, ${mistakes.length} mistakes\n`,
);
process.exitCode = mistakes.length > 0 ? 1 : 0;
