import type { GateCriterion } from '@scanmq/contract';

/** What the gate says of one finding. */
export interface Judgement {
  readonly criteria: readonly GateCriterion[];
  /** It counts against the limit: a criterion fits, and it is neither known nor left out. */
  readonly broke: boolean;
  readonly state: 'new' | 'raised' | 'known' | 'not_compared';
  /** Place of the rule that leaves it out. */
  readonly rule: number | undefined;
}
