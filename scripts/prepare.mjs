// After `npm ci`: builds, so that a clone is ready to run. Without what building needs (`npm ci --omit=dev`) there is
// nothing to do: what is installed then is built already. The types tell, since a dependency may bring the compiler.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const compiler = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url));
const types = fileURLToPath(new URL('../node_modules/@types/node', import.meta.url));
const project = fileURLToPath(new URL('../tsconfig.build.json', import.meta.url));
if ([compiler, types, project].every((path) => existsSync(path))) {
  const { status } = spawnSync(process.execPath, [compiler, '-b', project], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
}
