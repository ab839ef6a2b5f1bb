// The bill of materials of a release (CycloneDX 1.5): everything that runs in production, from the lock file.
// Usage: npm run sbom [-- FILE], by default sbom.cdx.json
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const [file = 'sbom.cdx.json'] = process.argv.slice(2);
const { version } = JSON.parse(readFileSync('apps/cli/package.json', 'utf8'));
const { status, stdout, stderr } = spawnSync(
  'npm',
  ['sbom', '--sbom-format=cyclonedx', '--sbom-type=application', '--omit=dev', '--package-lock-only'],
  { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
);
if (status !== 0) {
  process.stderr.write(`[sbom] npm sbom failed (npm 10 or newer is needed):\n${stderr}`);
  process.exit(1);
}
const sbom = JSON.parse(stdout);
// npm calls it by the name of the directory
Object.assign(sbom.metadata.component, { name: 'scanmq', version });
const { without_integrity: exceptions } = JSON.parse(
  readFileSync(new URL('supply-chain.json', import.meta.url), 'utf8'),
);
// our own packages are in the release itself
const foreign = sbom.components.filter(
  ({ properties }) => !properties?.some(({ name }) => name === 'cdx:npm:package:private'),
);
const unpinned = foreign.filter(
  ({ hashes, 'bom-ref': reference }) =>
    !hashes && !exceptions.names.some((start) => reference.startsWith(start)),
);
for (const component of unpinned) process.stderr.write(`[sbom] no hash: ${component['bom-ref']}\n`);
writeFileSync(file, `${JSON.stringify(sbom, null, 2)}\n`);
process.stdout.write(
  `[sbom] ${file}: ${foreign.length} foreign packages of production, ${sbom.components.length - foreign.length} of our own\n`,
);
process.exitCode = unpinned.length > 0 || foreign.length === 0 ? 1 : 0;
