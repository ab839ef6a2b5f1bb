export { type EventLevel, type EventName, LOG_EVENTS, type LogEvent } from './events.js';
export {
  type CounterName,
  type GaugeName,
  type HistogramName,
  INSTRUMENTS,
  type Instrument,
  type InstrumentName,
  type Program,
} from './instruments.js';
export { addSecret, createLogger, type Logger, type LoggerOptions } from './logger.js';
export { type Meter, type Metrics, NO_METER, type SetGauge } from './meter.js';
export { openMetrics } from './open-metrics.js';
export { hideValues } from './secret-values.js';
export { startTracing } from './start-tracing.js';
export {
  NO_TRACING,
  type OpenSpan,
  parentOfTask,
  type SpanFacts,
  type Tracing,
  type TracingOptions,
  traceIdOf,
} from './tracing.js';
