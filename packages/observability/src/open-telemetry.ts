/** Spans in the hands of OpenTelemetry. Loaded by `startTracing` only. */
import {
  type Context,
  context,
  DiagLogLevel,
  diag,
  isSpanContextValid,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
  serviceInstanceIdDetector,
} from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import type { OpenSpan, SpanOptions, Tracing, TracingOptions } from './tracing.js';

const KINDS = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  consumer: SpanKind.CONSUMER,
  client: SpanKind.CLIENT,
} as const;

/** For what is not sent yet, at the end. */
const CLOSE_MS = 2_000;

type Settings = NonNullable<TracingOptions['settings']>;

/** Registers with OpenTelemetry for the whole process, which BullMQ's spans need. */
export function createTracing(options: TracingOptions & { readonly settings: Settings }): Tracing {
  const { settings, program, version, onProblem } = options;
  diag.setLogger(
    {
      error: (message) => onProblem(message.slice(0, 300)),
      warn: () => undefined,
      info: () => undefined,
      debug: () => undefined,
      verbose: () => undefined,
    },
    DiagLogLevel.ERROR,
  );
  const provider = new NodeTracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': program, 'service.version': version }))
      // OTEL_RESOURCE_ATTRIBUTES; each process is one of its own
      .merge(detectResources({ detectors: [serviceInstanceIdDetector, envDetector] }))
      .merge(
        resourceFromAttributes(
          settings.serviceName === undefined ? {} : { 'service.name': settings.serviceName },
        ),
      ),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url: settings.url }))],
  });
  provider.register();
  const tracer = trace.getTracer('scanmq', version);

  const parentOf = (under: string | undefined): Context =>
    under === undefined ? context.active() : propagation.extract(ROOT_CONTEXT, { traceparent: under });

  const tracing: Tracing = {
    on: true,
    begin(name, facts, { under, kind = 'internal', startMs }: SpanOptions = {}) {
      const parent = parentOf(under);
      const span = tracer.startSpan(
        name,
        { kind: KINDS[kind], attributes: facts, ...(startMs !== undefined && { startTime: startMs }) },
        parent,
      );
      return openSpan(span, trace.setSpan(parent, span));
    },
    async span(name, facts, work, spanOptions) {
      const span = tracing.begin(name, facts, spanOptions);
      try {
        const answer = await span.within(work);
        span.end();
        return answer;
      } catch (error) {
        span.end(codeOf(error));
        throw error;
      }
    },
    async childSpan(name, facts, work) {
      if (!trace.getSpan(context.active())) return await work();
      return await tracing.span(name, facts, work, { kind: 'client' });
    },
    current() {
      const carrier: { traceparent?: string } = {};
      propagation.inject(context.active(), carrier);
      return carrier.traceparent;
    },
    async close() {
      const sent = provider.shutdown().catch((error: unknown) => onProblem(String(error)));
      // a collector that is away does not hold up the end of a program
      await Promise.race([sent, new Promise((resolve) => setTimeout(resolve, CLOSE_MS).unref())]);
    },
  };
  return tracing;
}

function openSpan(span: Span, inside: Context): OpenSpan {
  const { traceId } = span.spanContext();
  return {
    traceId: isSpanContextValid(span.spanContext()) ? traceId : '',
    set: (facts) => void span.setAttributes(facts),
    end(code) {
      // the code alone: messages may tell of targets
      if (code !== undefined) {
        span.setAttribute('error.type', code);
        span.setStatus({ code: SpanStatusCode.ERROR });
      }
      span.end();
    },
    within: (work) => context.with(inside, work),
  };
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
