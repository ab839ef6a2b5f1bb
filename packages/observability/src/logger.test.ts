import { describe, expect, it } from '@jest/globals';
import { ScanmqError } from '@scanmq/contract';
import { createLogger, registerSecret } from './index.js';

function logged(write: (log: ReturnType<typeof createLogger>) => void): string {
  const lines: string[] = [];
  write(createLogger({ name: 'test', level: 'debug', destination: { write: (line) => lines.push(line) } }));
  return lines.join('');
}

describe('the logger', () => {
  it('writes one JSON document per line with level, time and name', () => {
    const line = JSON.parse(logged((log) => log.info({ event: 'x', task_id: 't' }, 'hello')));
    expect(line).toMatchObject({ level: 'info', name: 'test', event: 'x', task_id: 't', msg: 'hello' });
  });

  it.each([
    'password',
    'ssh_password',
    'ssh_private_key',
    'ssh_key_passphrase',
    'secretKey',
    'X-Cookie',
    'authorization',
    'x-apikeys',
    'X-API-Token',
    'credentials',
  ])('hides the field %s at any depth', (name) => {
    expect(logged((log) => log.warn({ a: { b: [{ [name]: 'canary-value' }] } }))).not.toContain(
      'canary-value',
    );
    expect(logged((log) => log.child({ [name]: 'canary-value' }).warn('x'))).not.toContain('canary-value');
  });

  it('hides a registered value wherever it occurs, also escaped and in errors', () => {
    registerSecret('s3cret "quoted"\n');
    const text = logged((log) =>
      log.error({ err: new Error('login with s3cret "quoted"\n failed') }, 'with s3cret "quoted"\n'),
    );
    expect(text).not.toContain('s3cret');
    expect(text).toContain('[redacted]');
  });

  it('keeps code, message and causes of an error, and nothing else that a library hung on it', () => {
    const cause = Object.assign(new Error('inner'), { options: { headers: { any: 'canary-value' } } });
    const text = logged((log) => log.error({ err: new ScanmqError('scanner_tls', 'outer', { cause }) }));
    expect(JSON.parse(text).err).toMatchObject({
      type: 'ScanmqError',
      code: 'scanner_tls',
      message: 'outer',
      cause: { message: 'inner' },
    });
    expect(text).not.toContain('canary-value');
  });
});
