import { NO_TRACING, type Tracing } from './tracing.js';

export interface TracingOptions {
  /** Undefined = nothing is traced. */
  readonly settings: { readonly url: string; readonly serviceName: string | undefined } | undefined;
  /** Name of the program, where the settings have none. */
  readonly program: string;
  readonly version: string;
  /** Told why spans could not be sent; they are lost then, and nothing else is. */
  readonly onProblem: (reason: string) => void;
}

/** Nothing of OpenTelemetry is loaded where nothing is traced. */
export async function startTracing(options: TracingOptions): Promise<Tracing> {
  const { settings } = options;
  if (!settings) return NO_TRACING;
  const { createTracing } = await import('./open-telemetry.js');
  return createTracing({ ...options, settings });
}
