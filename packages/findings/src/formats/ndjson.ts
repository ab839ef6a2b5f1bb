import type { RenderInput } from '../render-input.js';
import { toJson } from './clean-text.js';
import { inChunks } from './in-chunks.js';

/** One JSON object per line for every finding, with all its fields; those of a simulator have `"simulator":true` as well. */
export function writeNdjson(input: RenderInput): AsyncIterable<string> {
  return inChunks(lines(input));
}

async function* lines(input: RenderInput): AsyncGenerator<string> {
  const mark = input.task.simulator ? { simulator: true } : {};
  for await (const finding of input.findings()) yield `${toJson({ ...finding, ...mark })}\n`;
}
