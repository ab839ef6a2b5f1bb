/** The tools and the store of the tasks scenarios; the product's store is its task record. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  inputRequired,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  ProtocolErrorCode,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import { declaresTasks, TASKS_EXTENSION, taskHandle } from '../apps/gateway/dist/mcp/tasks-extension.js';
import { text } from './fixture-content.mjs';

const tasks = new Map();
const NEEDS_TASKS = { requiredCapabilities: { extensions: { [TASKS_EXTENSION]: {} } } };
const confirm = (message) =>
  inputRequired.elicit({
    message,
    requestedSchema: {
      type: 'object',
      properties: { confirm: { type: 'boolean' }, name: { type: 'string' } },
    },
  });

function change(task, fields) {
  // what has ended stays as it ended
  if (!['working', 'input_required'].includes(task.status)) return;
  Object.assign(task, fields, { lastUpdatedAt: new Date().toISOString() });
}

function start(work) {
  const now = new Date().toISOString();
  const task = {
    taskId: randomBytes(16).toString('hex'),
    status: 'working',
    statusMessage: 'working',
    createdAt: now,
    lastUpdatedAt: now,
    ttlMs: 60_000,
    answers: {},
  };
  tasks.set(task.taskId, task);
  work(task).then(
    (result) => change(task, { status: 'completed', result }),
    ({ code, message }) =>
      change(task, { status: 'failed', error: { code: code ?? ProtocolErrorCode.InternalError, message } }),
  );
  return taskHandle(task);
}

async function ask(task, questions) {
  change(task, { status: 'input_required', inputRequests: questions });
  await new Promise((resolve) => {
    task.onAnswered = resolve;
  });
}

/** A tool whose work can be a task; without the extension it is done at once. */
const asTask = (work) => async (ctx, args) =>
  declaresTasks(ctx) ? start((task) => work(args, task)) : await work(args, undefined);
/** A tool that is nothing without the extension. */
const onlyAsTask = (work) => async (ctx, args) => {
  if (!declaresTasks(ctx)) throw new MissingRequiredClientCapabilityError(NEEDS_TASKS);
  return start((task) => work(args, task));
};

export const TASK_TOOLS = {
  greet: (_ctx, { name }) => text(`Hello, ${name}!`),
  slow_compute: (ctx, args) =>
    args.seconds === 0
      ? text('computed at once')
      : asTask(async ({ seconds = 1 }, task) => {
          const stop = new AbortController();
          if (task) task.onCancel = () => stop.abort();
          await sleep(task ? seconds * 1_000 : Math.min(seconds, 1) * 1_000, undefined, {
            signal: stop.signal,
          }).catch(() => undefined);
          return text('computed');
        })(ctx, args),
  failing_job: onlyAsTask(async () => {
    await sleep(1_000);
    return { isError: true, ...text('The job failed.') };
  }),
  protocol_error_job: onlyAsTask(async () => {
    await sleep(100);
    throw new ProtocolError(ProtocolErrorCode.InternalError, 'The job broke down.');
  }),
  confirm_delete: onlyAsTask(async ({ filename }, task) => {
    await ask(task, { confirm: confirm(`Delete ${filename}?`) });
    return text(task.answers.confirm?.content?.confirm ? `Deleted ${filename}.` : `Kept ${filename}.`);
  }),
  multi_input: onlyAsTask(async (_args, task) => {
    await ask(task, { first: confirm('The first?'), second: confirm('The second?') });
    return text('Both were answered.');
  }),
  test_tool_with_task: async (ctx) => {
    const name = ctx.mcpReq.inputResponses?.user_name?.content?.name;
    if (!declaresTasks(ctx)) throw new MissingRequiredClientCapabilityError(NEEDS_TASKS);
    if (name === undefined)
      return inputRequired({
        inputRequests: {
          user_name: inputRequired.elicit({
            message: 'What is your name?',
            requestedSchema: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
          }),
        },
      });
    return start(async () => text(`Hello, ${name}!`));
  },
};

const params = z.looseObject({ taskId: z.string() });
const result = z.looseObject({});

function find(ctx, taskId) {
  if (!declaresTasks(ctx)) throw new MissingRequiredClientCapabilityError(NEEDS_TASKS);
  const task = tasks.get(taskId);
  if (!task) throw new ProtocolError(ProtocolErrorCode.InvalidParams, 'There is no such task.');
  return task;
}

export function addFixtureTasks(server) {
  server.setRequestHandler('tasks/get', { params, result }, ({ taskId }, ctx) => {
    const task = find(ctx, taskId);
    const { content: _, ...fields } = taskHandle(task);
    return {
      ...fields,
      resultType: 'complete',
      ...(task.result && task.status === 'completed' ? { result: task.result } : {}),
      ...(task.error && task.status === 'failed' ? { error: task.error } : {}),
      ...(task.status === 'input_required' ? { inputRequests: task.inputRequests } : {}),
    };
  });
  server.setRequestHandler('tasks/update', { params, result }, ({ taskId }, ctx) => {
    const task = find(ctx, taskId);
    if (task.status === 'input_required') {
      const answers = ctx.mcpReq.inputResponses ?? {};
      Object.assign(task.answers, answers);
      const open = Object.entries(task.inputRequests).filter(([key]) => task.answers[key] === undefined);
      change(task, { inputRequests: Object.fromEntries(open) });
      if (open.length === 0) {
        change(task, { status: 'working' });
        task.onAnswered();
      }
    }
    return { resultType: 'complete' };
  });
  server.setRequestHandler('tasks/cancel', { params, result }, ({ taskId }, ctx) => {
    const task = find(ctx, taskId);
    change(task, { status: 'cancelled' });
    task.onCancel?.();
    return { resultType: 'complete' };
  });
}
