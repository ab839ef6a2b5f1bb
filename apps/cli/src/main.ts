import { existsSync } from 'node:fs';
import { ConfigError } from '@scanmq/config';
import { ScanmqError } from '@scanmq/contract';
import { CommanderError } from 'commander';
import { EXIT } from './exit-codes.js';
import { createProgram } from './program.js';

/** Errors become one clear message and a stable exit code; a stack trace is for logs. */
function report(error: unknown, withStack: boolean): number {
  // commander has printed its own message already
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.passed : EXIT.usage;
  if (error instanceof ConfigError) {
    process.stderr.write(`${error.format()}\n`);
    return EXIT.usage;
  }
  if (error instanceof ScanmqError) {
    process.stderr.write(`scanmq: ${error.message}\n`);
    if (error.issues && error.issues.length > 1) {
      for (const issue of error.issues) process.stderr.write(`  ${issue.path}: ${issue.message}\n`);
    }
    return error.code === 'invalid_request' ? EXIT.usage : EXIT.unreachable;
  }
  process.stderr.write(
    `scanmq: unexpected error: ${error instanceof Error ? error.message : String(error)}\n`,
  );
  if (withStack && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return EXIT.unreachable;
}

// whoever reads our answer may have had enough of it, as `head` does
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.passed);
  throw error;
});

// what is set in the environment wins over the file
if (existsSync('.env')) process.loadEnvFile('.env');
// biome-ignore lint/style/noProcessEnv: the environment enters the program here, and is passed on as an argument
const env = process.env;
try {
  const program = createProgram({ env, stdout: process.stdout, stderr: process.stderr });
  process.exitCode = await program.run(process.argv.slice(2));
} catch (error) {
  process.exitCode = report(error, env.LOG_LEVEL === 'debug');
}
