// Puts the built command, with the gateway and the worker, into few files: a program starts in half the time when it does
// not look for two thousand (docs/decisions/0017-bundle.md). What `tsc` built stays as it is, and runs where there is no
// bundle. Does nothing when nothing has changed since.
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const outdir = join(root, 'apps/cli/dist/bundle');

// they read files beside themselves, have native parts, must be there once only, or are hardly ever loaded
const APART = [
  '@aws-sdk/*',
  '@bull-board/ui',
  '@duckdb/*',
  '@fastify/static',
  '@fastify/swagger',
  '@fastify/swagger-ui',
  '@fastify/view',
  'ejs',
  '@opentelemetry/*',
  'bullmq-otel',
  'msgpackr',
  'pino',
  'pino-pretty',
  'selfsigned',
];

/** Files beside our own modules are found where they were. */
const ownFiles = {
  name: 'own files',
  setup({ onLoad }) {
    onLoad({ filter: /[\\/](?:apps|packages)[\\/][^\\/]+[\\/]dist[\\/].*\.js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      if (!text.includes('import.meta.url')) return undefined;
      const place = JSON.stringify(relative(outdir, path).split(sep).join('/'));
      return {
        contents: text.replaceAll('import.meta.url', `new URL(${place}, import.meta.url).href`),
        resolveDir: dirname(path),
      };
    });
  },
};

/** Files that the bundle is made of; written last, so that half a bundle is none. */
const inputs = join(outdir, 'inputs.json');

function isCurrent() {
  if (!existsSync(inputs)) return false;
  const madeAt = statSync(inputs).mtimeMs;
  const changedAt = (path) => statSync(join(root, path), { throwIfNoEntry: false })?.mtimeMs ?? Infinity;
  const sources = [...JSON.parse(readFileSync(inputs, 'utf8')), 'scripts/bundle.mjs', 'package-lock.json'];
  return sources.every((path) => changedAt(path) < madeAt);
}

if (!isCurrent()) await bundle();

async function bundle() {
  rmSync(outdir, { recursive: true, force: true });
  const { metafile } = await build({
    entryPoints: [join(root, 'apps/cli/dist/main.js')],
    outdir,
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    minifyWhitespace: true,
    external: APART,
    plugins: [ownFiles],
    // what CommonJS expects to have
    banner: {
      js: [
        "import { createRequire as bundledRequire } from 'node:module';",
        'const require = bundledRequire(import.meta.url), __filename = import.meta.filename, __dirname = import.meta.dirname;',
      ].join('\n'),
    },
    logLevel: 'warning',
    absWorkingDir: root,
    metafile: true,
  });
  writeFileSync(inputs, JSON.stringify(Object.keys(metafile.inputs)));
}
