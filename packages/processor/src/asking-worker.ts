import { type Job, type JobProgress, Worker } from 'bullmq';

/** BullMQ's worker, which also knows when it last asked for a job and was answered: one that stands still tells nothing else. */
export class AskingWorker<D = unknown, R = unknown, N extends string = string> extends Worker<D, R, N> {
  askedAtMs = Date.now();

  protected override async moveToActive(token: string, name?: string): Promise<Job<D, R, N, JobProgress>> {
    const job = await super.moveToActive(token, name);
    this.askedAtMs = Date.now();
    return job;
  }
}
