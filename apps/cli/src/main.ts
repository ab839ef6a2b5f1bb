import { existsSync } from 'node:fs';
import { EXIT } from './exit-codes.js';
import { createProgram, wantsJson } from './program.js';
import { documentOf, exitCodeOf, wordsOf } from './report-error.js';

// whoever reads our answer may have had enough of it, as `head` does
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.passed);
  throw error;
});

// what is set in the environment wins over the file
if (existsSync('.env')) process.loadEnvFile('.env');
// biome-ignore lint/style/noProcessEnv: the environment enters the program here, and is passed on as an argument
const env = process.env;
const args = process.argv.slice(2);
try {
  const program = createProgram({ env, stdout: process.stdout, stderr: process.stderr });
  process.exitCode = await program.run(args);
} catch (error) {
  // one clear message and a stable exit code; a stack trace is for logs
  const document = documentOf(error);
  if (wantsJson(args)) process.stderr.write(document ? `${JSON.stringify(document)}\n` : '');
  else {
    process.stderr.write(wordsOf(error));
    if (document?.code === 'internal' && env.LOG_LEVEL === 'debug' && error instanceof Error)
      process.stderr.write(`${error.stack}\n`);
  }
  process.exitCode = exitCodeOf(error);
}
