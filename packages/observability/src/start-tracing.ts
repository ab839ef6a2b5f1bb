import { NO_TRACING, type Tracing, type TracingOptions } from './tracing.js';

/** Nothing of OpenTelemetry is loaded where nothing is traced. */
export async function startTracing(options: TracingOptions): Promise<Tracing> {
  const { settings } = options;
  if (!settings) return NO_TRACING;
  const { createTracing } = await import('./open-telemetry.js');
  return createTracing({ ...options, settings });
}
