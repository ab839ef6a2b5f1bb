/** One page as the earlier version answered it: the whole export is read and filtered again. node reread.mjs FILE */
import { createReadStream } from 'node:fs';
import { readExport } from '../../packages/findings/dist/read-export.js';

const start = performance.now();
const page = [];
let matches = 0;
await readExport(createReadStream(process.argv[2], { highWaterMark: 256 * 1024 }), {
  onItem({ attributes, elements }) {
    matches += 1;
    if (page.length < 40) page.push({ ...attributes, ...Object.fromEntries(elements) });
  },
});
process.stdout.write(`${JSON.stringify({ items: matches, seconds: (performance.now() - start) / 1000 })}\n`);
