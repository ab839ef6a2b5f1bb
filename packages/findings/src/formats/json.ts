import type { RenderInput } from '../render-input.js';
import { toJson } from './clean-text.js';
import { inChunks } from './in-chunks.js';

/**
 * One JSON document: `{task, summary, quality, total, findings}`, the findings with all their fields, one to a line.
 * `task.simulator` tells findings of a simulator.
 */
export function writeJson(input: RenderInput): AsyncIterable<string> {
  return inChunks(document(input));
}

async function* document(input: RenderInput): AsyncGenerator<string> {
  const { task, summary, quality, total } = input;
  yield `${toJson({ task, summary, quality, total }).slice(0, -1)},"findings":[`;
  let separator = '\n';
  for await (const finding of input.findings()) {
    yield separator + toJson(finding);
    separator = ',\n';
  }
  yield '\n]}\n';
}
