import { execFileSync } from 'node:child_process';
import { describe, expect, it } from '@jest/globals';
import { freePort } from '@scanmq/local-redis';
import { startProgram, until } from '@scanmq/testkit';

/** Processes below this one, at any depth or in sessions of their own, that the demo started. */
function processesWith(marker: string): string[] {
  return execFileSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(marker) && !line.includes('ps -eo'));
}

/** Ports that the demo printed: its programs and its Redis name them in their arguments or their environment. */
function redisPort(output: string): string {
  return /redis:\/\/127\.0\.0\.1:(\d+)/.exec(output)?.[1] ?? 'none';
}

/** It starts five programs, one after the other. */
const START_MS = 120_000;

/** At a port of its own: another demo that looks for one at the same time would find the same. */
async function startDemo(scanSeconds: number) {
  return startProgram(
    ['demo', '--port', String(await freePort()), '--scan-seconds', String(scanSeconds)],
    {},
  );
}

describe('scanmq demo', () => {
  it('shows a scan through every real part, stays up, and leaves nothing running after Ctrl-C', async () => {
    const demo = await startDemo(1);
    await until('it stays up', () => demo.output().includes('It stays up until Ctrl-C.'), START_MS);
    const text = demo.output();
    expect(text).toMatch(/critical\s+│\s+\d+/);
    expect(text).toContain('SIMULATOR');
    const url = /dashboard {2}(http:\S+)\/dashboard/.exec(text)?.[1];
    expect((await fetch(`${url}/dashboard/`)).status).toBe(200);
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
    const port = redisPort(text);
    expect(processesWith(`redis-server 127.0.0.1:${port}`)).toHaveLength(1);

    demo.kill('SIGINT');
    expect(await demo.ended).toEqual({ code: 0, signal: null });
    expect(demo.output()).toContain('nothing is left running');
    expect(processesWith(`redis-server 127.0.0.1:${port}`)).toEqual([]);
    await expect(fetch(`${url}/health/live`)).rejects.toThrow();
  }, 240_000);

  it('leaves nothing running when it is killed, either', async () => {
    const demo = await startDemo(600);
    await until('it scans', () => demo.output().includes('Submitted'), START_MS);
    const text = demo.output();
    const port = redisPort(text);
    const url = /gateway {4}(http:\S+)/.exec(text)?.[1];
    demo.kill('SIGKILL');
    await demo.ended;
    await until('Redis ends', () => processesWith(`redis-server 127.0.0.1:${port}`).length === 0);
    await until('the gateway ends', async () => {
      try {
        await fetch(`${url}/health/live`);
        return false;
      } catch {
        return true;
      }
    });
  }, 240_000);
});
