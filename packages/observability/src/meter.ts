import type { CounterName, GaugeName, HistogramName, LabelsOf } from './instruments.js';

/** Where facts are counted; what it is told must not depend on it. */
export interface Meter {
  count<N extends CounterName>(name: N, labels: LabelsOf<N>, by?: number): void;
  /** @param value in the unit that the name ends with. */
  observe<N extends HistogramName>(name: N, labels: LabelsOf<N>, value: number): void;
}

/** Counts nothing. */
export const NO_METER: Meter = { count: () => undefined, observe: () => undefined };

/** Tells gauges of the moment. */
export type SetGauge = <N extends GaugeName>(name: N, labels: LabelsOf<N>, value: number) => void;

/** The metrics of one program. */
export interface Metrics extends Meter {
  readonly contentType: string;
  /**
   * All of them as Prometheus reads them.
   * @param tell the gauges as they are now; those that it does not tell are gone. Asynchronous work comes before.
   */
  text(tell: (set: SetGauge) => void): Promise<string>;
}
