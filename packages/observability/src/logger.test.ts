import { describe, expect, it } from '@jest/globals';
import { InvalidRequestError, ScanmqError } from '@scanmq/contract';
import { addSecret, createLogger, type Logger } from './index.js';

function logged(write: (log: Logger) => void, pretty = false): string {
  const lines: string[] = [];
  const destination = { write: (line: string) => lines.push(line) };
  write(createLogger({ name: 'test', level: 'debug', pretty, destination }));
  return lines.join('');
}

describe('the logger', () => {
  it('writes one JSON document per line with level, time and name', () => {
    const text = logged((log) => log.info({ event: 'x', task_id: 't' }, 'hello'));
    expect(text.endsWith('}\n')).toBe(true);
    expect(JSON.parse(text)).toMatchObject({
      level: 'info',
      name: 'test',
      event: 'x',
      task_id: 't',
      msg: 'hello',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    });
  });

  it('leaves out what is below its level', () => {
    expect(logged((log) => log.trace('x'))).toBe('');
  });

  it('keeps whole what has nothing to hide', () => {
    const fields = { a: 1, b: [true, null, 'x'], c: { d: '2026-11-23T15:00:00.000Z' }, key: 'k' };
    expect(JSON.parse(logged((log) => log.info(fields)))).toMatchObject(fields);
  });

  it('survives values that JSON cannot hold', () => {
    const circle: Record<string, unknown> = { big: 10n, bytes: Buffer.from('abc'), map: new Map([['a', 1]]) };
    circle.self = circle;
    expect(JSON.parse(logged((log) => log.info({ circle }))).circle).toEqual({
      big: '10',
      bytes: '[3 bytes]',
      map: { a: 1 },
      self: '[circular]',
    });
  });
});

describe('a secret in a field with a telling name', () => {
  it.each([
    'password',
    'ssh_password',
    'escalation_password',
    'windows_password',
    'ssh_private_key',
    'ssh_key_passphrase',
    'secretKey',
    'access_key',
    'X-Cookie',
    'set-cookie',
    'authorization',
    'X-ApiKeys',
    'X-API-Token',
    'credentials',
    'CREDENTIALS_KEY',
    'headers',
  ])('is hidden: %s', (name) => {
    const secret = 'canary-value';
    expect(logged((log) => log.warn({ [name]: secret }))).not.toContain(secret);
    expect(logged((log) => log.warn({ a: { b: [{ [name]: secret }] } }))).not.toContain(secret);
    expect(logged((log) => log.warn({ a: new Map([[name, secret]]) }))).not.toContain(secret);
    expect(logged((log) => log.child({ [name]: secret }).warn('x'))).not.toContain(secret);
    expect(logged((log) => log.child({ a: { [name]: secret } }).warn('x'))).not.toContain(secret);
  });

  it('is still known to be there', () => {
    expect(
      JSON.parse(logged((log) => log.info({ has_credentials: true, credential_ref: 'ref' }))),
    ).toMatchObject({
      has_credentials: true,
      credential_ref: 'ref',
    });
  });
});

describe('a registered secret', () => {
  const secret = 's3cret "quoted"\n\\end';

  function loggedWithSecret(write: (log: Logger) => void, pretty = false): string {
    return logged((log) => {
      addSecret(log, secret);
      write(log);
    }, pretty);
  }

  it.each<[string, (log: Logger) => void]>([
    ['in a message', (log) => log.info(`with ${secret}`)],
    ['in a field', (log) => log.info({ a: { b: [secret] } })],
    ['as the name of a field', (log) => log.info({ [secret]: 1 })],
    ['in an error', (log) => log.error({ err: new Error(`login with ${secret}`) })],
    ['in the cause of an error', (log) => log.error(new Error('x', { cause: new Error(secret) }))],
    ['in a child logger', (log) => log.child({ a: secret }).info('x')],
    ['of a child, in a child of it', (log) => log.child({}).child({ a: secret }).info('x')],
    ['inside a text that is JSON', (log) => log.info(JSON.stringify({ body: JSON.stringify({ secret }) }))],
    ['inside a URL', (log) => log.info(`https://x/?a=${encodeURIComponent(secret)}`)],
    ['inside a form', (log) => log.info(new URLSearchParams({ a: secret }).toString())],
    ['in base64', (log) => log.info(Buffer.from(secret).toString('base64'))],
    [
      'in base64, behind a name of any length',
      (log) =>
        log.info(
          ['u', 'us', 'usr'].map((name) => Buffer.from(`${name}:${secret}`).toString('base64')).join(),
        ),
    ],
    ['in base64 for URLs', (log) => log.info(Buffer.from(secret).toString('base64url'))],
    ['in hex', (log) => log.info(Buffer.from(secret).toString('hex'))],
  ])('is hidden %s', (_, write) => {
    for (const pretty of [false, true]) {
      const text = loggedWithSecret(write, pretty);
      for (const part of ['s3cret', 'czNjcmV0', 'MzY3JldC', 'zM2NyZX', '733363726574'])
        expect(text).not.toContain(part);
      expect(text).toContain('[redacted]');
    }
  });

  it('is hidden from then on, when it is given to a child', () => {
    const text = logged((log) => {
      addSecret(log.child({ worker: 1 }), secret);
      log.info(secret);
    });
    expect(text).not.toContain('s3cret');
  });

  it('is hidden until the last one who gave it ends that', () => {
    const lines = logged((log) => {
      const first = addSecret(log, 'canary-value');
      const second = addSecret(log, 'canary-value');
      first();
      first();
      log.info('canary-value');
      second();
      log.info('canary-value');
    })
      .trim()
      .split('\n');
    expect(lines.map((line) => JSON.parse(line).msg)).toEqual(['[redacted]', 'canary-value']);
  });

  it('is hidden whole, though another one is a part of it', () => {
    const text = logged((log) => {
      addSecret(log, 'secret');
      addSecret(log, 'secret-and-more');
      log.info('secret-and-more');
    });
    expect(JSON.parse(text).msg).toBe('[redacted]');
  });
});

describe('a login in a URL', () => {
  it('is hidden, without having been registered', () => {
    const text = logged((log) => log.info('no answer from redis://user:pa55@redis.example.com:6379/0'));
    expect(JSON.parse(text).msg).toBe('no answer from redis://[redacted]@redis.example.com:6379/0');
  });
});

describe('an API key', () => {
  it('is hidden, without having been registered, but for what names it', () => {
    const key = `smq_${'0a'.repeat(8)}_${'f'.repeat(64)}`;
    const text = logged((log) => log.info({ path: `/scans?key=${key}` }, `sent ${key}`));
    expect(text).not.toContain('ffff');
    expect(JSON.parse(text).msg).toBe(`sent smq_${'0a'.repeat(8)}_[redacted]`);
  });
});

describe('an error in the log', () => {
  it.each<[string, (log: Logger, error: Error) => void]>([
    ['as err', (log, err) => log.error({ err })],
    ['alone', (log, error) => log.error(error)],
  ])('keeps code, message, mistakes and causes, given %s', (_, write) => {
    const cause = new InvalidRequestError('inner', [{ path: 'a', message: 'b' }]);
    const text = logged((log) => write(log, new ScanmqError('scanner_tls', 'outer', { cause })));
    expect(JSON.parse(text).err).toMatchObject({
      type: 'ScanmqError',
      code: 'scanner_tls',
      retryable: 'no',
      message: 'outer',
      stack: expect.any(String),
      cause: { message: 'inner', issues: [{ path: 'a', message: 'b' }] },
    });
  });

  it.each<[string, (log: Logger, error: Error) => void]>([
    ['as err', (log, err) => log.error({ err })],
    ['alone', (log, error) => log.error(error)],
    ['under another name', (log, error) => log.error({ reason: { error } })],
    ['in a child logger', (log, error) => log.child({ error }).error('x')],
  ])('loses what a library hung on it, given %s', (_, write) => {
    const error = Object.assign(new Error('inner'), { options: { agent: { pem: 'canary-value' } } });
    const text = logged((log) => write(log, error));
    expect(text).toContain('inner');
    expect(text).not.toContain('canary-value');
  });
});
