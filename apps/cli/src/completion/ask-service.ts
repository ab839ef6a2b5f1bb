import type { Environment } from '@scanmq/config';
import got from 'got';
import { z } from 'zod';
import { serviceUrl } from '../client.js';
import type { Asked, Candidate } from './candidates.js';

/** Somebody waits at the terminal: what is not known by then is not offered. */
const PATIENCE_MS = 1_000;
/** What is offered goes into a line that a shell executes: names of ours, and nothing else. */
const HARMLESS = /^[\w.:@-]+$/;

const QUESTIONS: Readonly<Record<Asked, { path: string; answer: z.ZodType<readonly Candidate[], unknown> }>> =
  {
    task_id: {
      path: 'scans?limit=50',
      answer: z
        .object({ tasks: z.array(z.object({ task_id: z.string(), status: z.string(), name: z.string() })) })
        .transform(({ tasks }) =>
          tasks.map((task) => ({ value: task.task_id, description: `${task.status}, ${task.name}` })),
        ),
    },
    schedule_id: {
      path: 'schedules',
      answer: z
        .object({ schedules: z.array(z.object({ schedule_id: z.string(), name: z.string() })) })
        .transform(({ schedules }) =>
          schedules.map((one) => ({ value: one.schedule_id, description: one.name })),
        ),
    },
    scanner: {
      path: 'scanners',
      answer: z
        .object({ scanners: z.array(z.object({ instance_key: z.string(), name: z.string() })) })
        .transform(({ scanners }) =>
          scanners.map((one) => ({ value: one.instance_key, description: one.name })),
        ),
    },
    pool: {
      path: 'pools',
      answer: z
        .object({ pools: z.array(z.string()) })
        .transform(({ pools }) => pools.map((value) => ({ value, description: '' }))),
    },
  };

/** Asks the service at SCANMQ_URL. @returns nothing when it is away, slow, or does not want to tell. */
export async function askService(env: Environment, what: Asked): Promise<readonly Candidate[]> {
  const { path, answer } = QUESTIONS[what];
  try {
    const found = await got
      .get(`${serviceUrl(env)}/api/v1/${path}`, {
        ...(env.SCANMQ_API_KEY === undefined
          ? {}
          : { headers: { authorization: `Bearer ${env.SCANMQ_API_KEY}` } }),
        followRedirect: false,
        retry: { limit: 0 },
        timeout: { request: PATIENCE_MS },
      })
      .json();
    return answer.parse(found).filter(({ value }) => HARMLESS.test(value));
  } catch {
    return [];
  }
}
