/** The instruments of the table, in the hands of prom-client. Loaded by `openMetrics` only. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import {
  type CounterName,
  type GaugeName,
  type HistogramName,
  INSTRUMENTS,
  type Instrument,
  type LabelsOf,
  type Program,
} from './instruments.js';
import type { Metrics } from './meter.js';

/** A registry of its own: two programs may live in one process. */
export function createMetrics(program: Program): Metrics {
  const registry = new Registry();
  // memory, processor, garbage collection, and how late the event loop is
  collectDefaultMetrics({ register: registry });
  const gauges = new Map<string, Gauge>();
  const counters = new Map<string, Counter>();
  const histograms = new Map<string, Histogram>();
  for (const [name, instrument] of Object.entries<Instrument>(INSTRUMENTS)) {
    if (!instrument.of.includes(program)) continue;
    const { help, labels, buckets = [], zeros = [] } = instrument;
    const common = { name, help, labelNames: [...labels], registers: [registry] };
    switch (instrument.kind) {
      case 'gauge':
        gauges.set(name, new Gauge(common));
        break;
      case 'counter': {
        const made = new Counter(common);
        for (const zero of zeros) made.inc(zero, 0);
        counters.set(name, made);
        break;
      }
      case 'histogram':
        histograms.set(name, new Histogram({ ...common, buckets: [...buckets] }));
    }
  }
  return {
    contentType: registry.contentType,
    count<N extends CounterName>(name: N, labels: LabelsOf<N>, by = 1) {
      counters.get(name)?.inc(labels, by);
    },
    observe<N extends HistogramName>(name: N, labels: LabelsOf<N>, value: number) {
      histograms.get(name)?.observe(labels, value);
    },
    async text(tell) {
      // a scanner or pool that is configured no more has no figures any more
      for (const [name, one] of gauges) {
        one.reset();
        // one without labels would be told as 0
        if (INSTRUMENTS[name as GaugeName].labels.length === 0) one.remove();
      }
      tell(<N extends GaugeName>(name: N, labels: LabelsOf<N>, value: number) =>
        gauges.get(name)?.set(labels, value),
      );
      return await registry.metrics();
    },
  };
}
