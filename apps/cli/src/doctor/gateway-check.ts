import type { Environment } from '@scanmq/config';
import got, { type OptionsOfJSONResponseBody } from 'got';
import { z } from 'zod';
import { serviceUrl, shownUrl } from '../client.js';
import { ok, problem, type Verdict, warning } from './check.js';

const healthSchema = z.object({
  status: z.string(),
  version: z.string().optional(),
  dependencies: z
    .record(z.string(), z.object({ status: z.string(), detail: z.string().optional() }))
    .optional(),
});

/** Whether the gateway at SCANMQ_URL answers, is well, of our version, and lets us in. */
export async function checkGateway(
  env: Environment,
  version: string,
  limitMs: number,
  signal: AbortSignal,
): Promise<readonly Verdict[]> {
  const url = serviceUrl(env);
  const shown = shownUrl(url);
  const key = env.SCANMQ_API_KEY;
  const options: OptionsOfJSONResponseBody = {
    signal,
    responseType: 'json',
    throwHttpErrors: false,
    followRedirect: false,
    retry: { limit: 0 },
    timeout: { request: limitMs },
  };
  let body: unknown;
  try {
    // with a key that is good it tells its version as well
    ({ body } = await got.get(`${url}/health`, { ...options, ...withKey(key) }));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'no answer';
    if (code !== 'ERR_BODY_PARSE_FAILURE') {
      const found = `No gateway answers at ${shown} (${code}).`;
      // where nobody said that there is one, it may just not be started yet
      return env.SCANMQ_URL === undefined
        ? [warning('gateway.connection', found, 'Start it with "scanmq gateway", or set SCANMQ_URL.')]
        : [problem('gateway.connection', found, 'Start it with "scanmq gateway", or correct SCANMQ_URL.')];
    }
  }
  const health = healthSchema.safeParse(body);
  if (!health.success)
    return [
      problem(
        'gateway.connection',
        `Something answers at ${shown}, but not like scanmq.`,
        'Correct SCANMQ_URL: origin only, without a path.',
      ),
    ];
  const { status, version: theirs, dependencies } = health.data;
  const away = Object.entries(dependencies ?? {})
    .filter(([, one]) => one.status !== 'healthy')
    .map(([name, one]) => `${name}: ${one.detail ?? one.status}`);
  return [
    status === 'healthy'
      ? ok('gateway.connection', `The gateway at ${shown} is healthy.`)
      : problem(
          'gateway.connection',
          `The gateway at ${shown} is ${status}${away.length === 0 ? '' : ` (${away.join('; ')})`}.`,
          'Look at the checks of Redis and of the data directory, on the machine of the gateway.',
        ),
    ...(theirs === undefined ? [] : [judgeVersion(theirs, version)]),
    await checkAccess(url, key, options),
  ];
}

function judgeVersion(theirs: string, version: string): Verdict {
  return theirs === version
    ? ok('gateway.version', `It has our version, ${version}.`)
    : warning(
        'gateway.version',
        `It has version ${theirs}, this command ${version}.`,
        'Bring gateways, workers and this command to one version.',
      );
}

function withKey(key: string | undefined): OptionsOfJSONResponseBody {
  return key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } };
}

async function checkAccess(
  url: string,
  key: string | undefined,
  options: OptionsOfJSONResponseBody,
): Promise<Verdict> {
  const name = 'gateway.access';
  const { statusCode } = await got.get(`${url}/api/v1/pools`, {
    ...options,
    ...withKey(key),
  });
  if (statusCode === 200)
    return ok(name, key === undefined ? 'It needs no API key from here.' : 'It takes our API key.');
  return statusCode === 401 || statusCode === 403
    ? problem(
        name,
        key === undefined ? 'It wants an API key.' : 'It refuses our API key.',
        'Set SCANMQ_API_KEY to a key that is valid (scanmq keys create).',
      )
    : warning(name, `It answered ${statusCode} to the list of pools.`, 'Look at the log of the gateway.');
}
