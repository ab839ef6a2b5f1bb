// Writes .env.example from the table of environment variables. A test checks that it was done.
import { writeFileSync } from 'node:fs';
import { renderEnvExample } from '../packages/config/dist/index.js';

writeFileSync(new URL('../.env.example', import.meta.url), renderEnvExample());
