/** Parts of paths. Whether there is such a thing is found out by looking: what has the wrong form is not found either. */
import { z } from 'zod';

const TASK_ID = 'ne_ness_20261125_195017_450915d3';

const taskId = z.string().meta({ description: 'Id of a task', examples: [TASK_ID] });

export const byTaskId = z.object({ id: taskId });
