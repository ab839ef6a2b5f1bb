/** saxes alone, with handlers that do nothing, for information: node saxes.mjs FILE */
import { createReadStream } from 'node:fs';
import { SaxesParser } from 'saxes';
import { measure } from './measure.mjs';

await measure(async () => {
  const parser = new SaxesParser({ position: false });
  parser.on('opentag', () => undefined);
  parser.on('closetag', () => undefined);
  parser.on('text', () => undefined);
  for await (const piece of createReadStream(process.argv[2], 'utf8')) parser.write(piece);
  parser.close();
  return {};
});
