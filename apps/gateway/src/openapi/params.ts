/**
 * Parts of paths. Whether there is such a thing is found out by looking: what has the wrong form is not found either.
 */
import { z } from 'zod';

const TASK = 'ne_ness_20261125_195017_450915d3';
const OLDER_TASK = 'ne_ness_20261118_023000_2253b5c6';

const part = (description: string, example: string) => z.string().meta({ description, examples: [example] });

export const byTaskId = z.object({ id: part('Id of a task', TASK) });

export const byFindingId = z.object({
  id: part('Id of a task', TASK),
  findingId: part('finding_id of a finding', '440ebf1ff7f65bf071d698e0f13742f6'),
});

export const byTwoTasks = z.object({
  head: part('The newer task', TASK),
  base: part('The older task, which it is compared with', OLDER_TASK),
});

export const byPool = z.object({ pool: part('Name of a pool', 'nessus') });

export const byInstance = z.object({
  instance: part('`pool:instance_id`, or the id of the instance where only one has it', 'nessus:scanner1'),
});

export const byScheduleId = z.object({ id: part('Id of a schedule', 'sch_a1c5fdcf') });

export const byCredentialName = z.object({ name: part('Name of a stored credential', 'linux-prod') });

const webhook = part('Id of a webhook', 'wh_7f3c0d9a51e2b846');

export const byWebhookId = z.object({ id: webhook });

export const byDeliveryId = z.object({
  id: webhook,
  delivery_id: part('Id of one of its deliveries', 'dlv_7f3c0d9a51e2b846_1764100217061_0'),
});
