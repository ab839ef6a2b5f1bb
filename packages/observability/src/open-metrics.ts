import type { Program } from './instruments.js';
import type { Metrics } from './meter.js';

/** The library is loaded by those who tell metrics: commands that begin here do without it. */
export async function openMetrics(program: Program): Promise<Metrics> {
  const { createMetrics } = await import('./metrics.js');
  return createMetrics(program);
}
