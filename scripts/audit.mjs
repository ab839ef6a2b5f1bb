// Known vulnerabilities of what is installed in production (npm audit), less those that scripts/supply-chain.json explains.
// Exit codes: 0 clean or explained, 1 vulnerable, 2 nothing was checked. Usage: npm run audit [-- --if-reachable]
//   --if-reachable   a registry that does not answer audits is told loudly, but is no failure (code 0)
//   --registry URL   ask another one
//   --exceptions F   another file of exceptions
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    'if-reachable': { type: 'boolean', default: false },
    registry: { type: 'string' },
    exceptions: { type: 'string', default: new URL('supply-chain.json', import.meta.url).pathname },
  },
});
const say = (line) => process.stdout.write(`[audit] ${line}\n`);

const { stdout, stderr, error } = spawnSync(
  'npm',
  [
    'audit',
    '--json',
    '--omit=dev',
    '--package-lock-only',
    '--fetch-retries=0',
    '--fetch-timeout=20000',
    ...(values.registry ? [`--registry=${values.registry}`] : []),
  ],
  { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
);
const report = parse(stdout);
if (!report?.vulnerabilities) {
  const said = [report?.message, report?.error?.summary, error?.message, stderr.trim().split('\n')[0]];
  const why = said.find((text) => text) ?? 'nothing';
  say('NOT CHECKED: the registry does not answer audit requests.');
  say(`It said: ${why}`);
  say('This says nothing about vulnerabilities. Run it where the npm registry answers such questions.');
  process.exit(values['if-reachable'] ? 0 : 2);
}

const today = new Date().toISOString().slice(0, 10);
const { advisories } = JSON.parse(readFileSync(values.exceptions, 'utf8'));
const explained = new Map(
  advisories.filter(({ until }) => until >= today).map((advisory) => [advisory.id, advisory]),
);
for (const { id, until } of advisories.filter((one) => one.until < today))
  say(`The exception for ${id} ran out on ${until}.`);

const open = new Map();
for (const [name, { via }] of Object.entries(report.vulnerabilities)) {
  for (const cause of via) {
    // a text names another package of this list, which has the cause itself
    if (typeof cause === 'string') continue;
    const id = /GHSA(-[a-z0-9]{4}){3}/.exec(cause.url)?.[0] ?? String(cause.source);
    const known = explained.get(id);
    if (known) say(`explained: ${name} ${id} (${cause.severity}) until ${known.until}: ${known.reason}`);
    else open.set(`${name} ${id}`, `${name} ${id} (${cause.severity}): ${cause.title}`);
  }
}
for (const line of open.values()) say(line);
say(open.size === 0 ? 'clean' : `${open.size} vulnerabilities are neither fixed nor explained`);
process.exitCode = open.size === 0 ? 0 : 1;

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
