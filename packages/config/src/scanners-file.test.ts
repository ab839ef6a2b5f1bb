import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { ConfigError, type Environment, readScannersConfig } from './index.js';

const directory = mkdtempSync(join(tmpdir(), 'scanmq-test-'));
afterAll(() => rmSync(directory, { recursive: true }));
const file = join(directory, 'scanners.yaml');

function read(yaml: string, env: Environment = {}) {
  writeFileSync(file, yaml);
  return readScannersConfig({ scannerConfigFile: file, maxConcurrentScans: 3 }, env);
}

function mistakes(look: () => unknown): Record<string, string> {
  try {
    look();
  } catch (error) {
    if (error instanceof ConfigError)
      return Object.fromEntries(error.issues.map(({ path, message }) => [path, message]));
    throw error;
  }
  throw new Error('no mistake was found');
}

/** An instance that is right, but for what is given here. */
function instance(keys: Record<string, string | undefined> = {}): string {
  const all = { instance_id: 's1', url: 'https://a:8834', username: 'u', password: 'p', ...keys };
  const lines = Object.entries(all).filter(([, value]) => value !== undefined);
  return `nessus:\n  - ${lines.map(([key, value]) => `${key}: ${value}`).join('\n    ')}\n`;
}

describe('scanners.yaml', () => {
  it('gives pools of instances, with defaults for what is left out', () => {
    const { pools, defaultPool } = read(instance());
    expect(defaultPool).toBe('nessus');
    expect([...pools]).toEqual([
      [
        'nessus',
        [
          {
            type: 'nessus',
            pool: 'nessus',
            instanceId: 's1',
            instanceKey: 'nessus:s1',
            name: 's1',
            url: 'https://a:8834',
            enabled: true,
            maxConcurrentScans: 3,
            auth: { kind: 'session', username: 'u', password: 'p' },
            interface: 'api',
            caFile: undefined,
            tlsFingerprint: undefined,
            headers: {},
            folder: undefined,
            follow: undefined,
            scanner: undefined,
          },
        ],
      ],
    ]);
  });

  it('takes every key', () => {
    const fingerprint = Array(32).fill('AB').join(':');
    const yaml = `${instance({
      name: 'Office',
      username: undefined,
      password: undefined,
      access_key: 'ak',
      secret_key: 'sk',
      enabled: 'false',
      max_concurrent_scans: '7',
      interface: 'api',
      tls_fingerprint: fingerprint,
      folder: 'F',
      follow: 'G',
    })}    headers: { X-Proxy: "v w" }\n`;
    expect(read(yaml).pools.get('nessus')?.[0]).toMatchObject({
      name: 'Office',
      auth: { kind: 'api_keys', accessKey: 'ak', secretKey: 'sk' },
      enabled: false,
      maxConcurrentScans: 7,
      tlsFingerprint: 'ab'.repeat(32),
      folder: 'F',
      follow: 'G',
      headers: { 'X-Proxy': 'v w' },
    });
  });

  it('has its first pool as the default one, unless there is a pool nessus', () => {
    const other = instance().replace('nessus:', 'dmz:');
    const third = instance().replace('nessus:', 'lab:');
    expect(read(other + third).defaultPool).toBe('dmz');
    expect(read(other + instance()).defaultPool).toBe('nessus');
  });

  it('takes the same instance id in two pools', () => {
    const { pools } = read(instance() + instance().replace('nessus:', 'dmz:'));
    expect([...pools.values()].flat().map(({ instanceKey }) => instanceKey)).toEqual(['nessus:s1', 'dmz:s1']);
  });

  it('takes values out of the environment, defaults where there is none, numbers and switches too', () => {
    const yaml = instance({
      url: "'https://${HOST}:${PORT:-8834}'",
      username: '${LOGIN_USER:-}',
      password: '${LOGIN_PASSWORD:-}',
      access_key: '${AK}',
      secret_key: '"${SK}"',
      enabled: '${ON:-false}',
      max_concurrent_scans: '${LIMIT}',
    });
    expect(
      read(yaml, { HOST: 'h', AK: 'a: #b', SK: 'x"y', LIMIT: '4' }).pools.get('nessus')?.[0],
    ).toMatchObject({
      url: 'https://h:8834',
      enabled: false,
      maxConcurrentScans: 4,
      // what a variable holds is text, whatever YAML would make of it
      auth: { kind: 'api_keys', accessKey: 'a: #b', secretKey: 'x"y' },
    });
  });

  it('does not look for variables in what a variable holds', () => {
    const [found] =
      read(instance({ password: '${SECRET}' }), { SECRET: '${OTHER}' }).pools.get('nessus') ?? [];
    expect(found?.auth).toMatchObject({ password: '${OTHER}' });
  });

  it('has a certificate of its own authority, by its path from the file on', () => {
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-subj',
        '/CN=x',
      ].concat(['-keyout', join(directory, 'key.pem'), '-out', join(directory, 'ca.pem')]),
      { stdio: 'ignore' },
    );
    expect(read(instance({ ca_file: 'ca.pem' })).pools.get('nessus')?.[0]?.caFile).toBe(
      join(directory, 'ca.pem'),
    );
    expect(mistakes(() => read(instance({ ca_file: 'key.pem' })))).toEqual({
      'nessus[0].ca_file': expect.stringMatching(/expected a certificate in PEM form/),
    });
    expect(mistakes(() => read(instance({ ca_file: 'none.pem' })))).toEqual({
      'nessus[0].ca_file': expect.stringMatching(/there is none at/),
    });
  });
});

describe('an instance of type tenable_vm', () => {
  const keys = { access_key: 'ak', secret_key: 'sk' };
  const cloud = (more: Record<string, string | undefined> = {}): string =>
    instance({
      type: 'tenable_vm',
      url: undefined,
      username: undefined,
      password: undefined,
      ...keys,
      ...more,
    });

  it('needs API keys only: its address is that of the service', () => {
    expect(read(cloud()).pools.get('nessus')).toMatchObject([
      {
        type: 'tenable_vm',
        url: 'https://cloud.tenable.com',
        auth: { kind: 'api_keys', accessKey: 'ak', secretKey: 'sk' },
        interface: 'api',
        scanner: undefined,
      },
    ]);
  });

  it('may have another address, and name the scanner that does the work', () => {
    expect(
      read(cloud({ url: 'https://fedcloud.tenable.com', scanner: 'Berlin' })).pools.get('nessus'),
    ).toMatchObject([{ url: 'https://fedcloud.tenable.com', scanner: 'Berlin' }]);
  });

  it.each<[Record<string, string | undefined>, string, RegExp]>([
    [{ url: 'http://a' }, 'url', /expected an https:\/\/ URL/],
    [{ username: 'u' }, 'username', /takes access_key and secret_key/],
    [{ password: 'p' }, 'password', /takes access_key and secret_key/],
    [{ access_key: undefined }, 'access_key', /API keys only/],
    [{ secret_key: undefined }, 'secret_key', /API keys only/],
    [{ interface: 'web_session' }, 'interface', /type: nessus only/],
    [{ follow: 'My Scans' }, 'follow', /type: nessus only/],
    [{ type: 'qualys' }, 'type', /nessus or tenable_vm/],
  ])('refuses %j with its place', (more, key, expectation) => {
    expect(mistakes(() => read(cloud(more)))[`nessus[0].${key}`]).toMatch(expectation);
  });

  it('may not share its pool with a Nessus', () => {
    const mixed = instance() + cloud({ instance_id: 's2' }).replace('nessus:\n', '');
    expect(mistakes(() => read(mixed))).toEqual({
      'nessus[1].type': expect.stringMatching(/expected nessus, as nessus\[0\].*a pool of its own/),
    });
    expect(read(instance() + cloud().replace('nessus:', 'cloud:')).pools.get('cloud')).toHaveLength(1);
  });
});

describe('a mistake in scanners.yaml', () => {
  it.each<[Record<string, string | undefined>, string, RegExp]>([
    [{ url: 'http://a:8834' }, 'url', /expected an https:\/\/ URL: .* in the clear/],
    [{ url: 'scanner' }, 'url', /expected an https:\/\/ URL, for example/],
    [{ url: 'https://a/path' }, 'url', /without a path/],
    [{ url: 'https://u:p@a' }, 'url', /no user name or password/],
    [{ url: undefined }, 'url', /missing/],
    [{ instance_id: 'a b' }, 'instance_id', /expected an instance id/],
    [{ instance_id: undefined }, 'instance_id', /missing/],
    [{ max_concurrent_scans: '0' }, 'max_concurrent_scans', /from 1 to 100/],
    [{ max_concurrent_scans: '101' }, 'max_concurrent_scans', /from 1 to 100/],
    [{ max_concurrent_scans: '1.5' }, 'max_concurrent_scans', /from 1 to 100/],
    [{ max_concurrent_scans: 'many' }, 'max_concurrent_scans', /from 1 to 100/],
    [{ enabled: 'maybe' }, 'enabled', /true or false/],
    [{ interface: 'web' }, 'interface', /api or web_session/],
    [{ tls_fingerprint: 'ab:cd' }, 'tls_fingerprint', /64 hex digits/],
    [{ headers: '[a]' }, 'headers', /a mapping/],
    [{ headers: '{ "a b": c }' }, 'headers.a b', /the name of a header/],
    [{ headers: '{ a: "b\\nc" }' }, 'headers.a', /one line/],
    [{ password: '12345678' }, 'password', /put it in quotes/],
    [{ passwort: 'x' }, 'passwort', /unknown key; known are instance_id, type, name, url/],
    [{ password: undefined }, 'password', /together with username/],
    [{ username: undefined }, 'username', /together with password/],
    [{ username: undefined, password: undefined }, 'username', /expected a login/],
    [{ access_key: 'a', secret_key: 'b' }, 'access_key', /one kind of login/],
    [{ secret_key: 'b' }, 'secret_key', /one kind of login/],
    [{ username: undefined, password: undefined, access_key: 'a' }, 'secret_key', /together with access_key/],
    [
      {
        username: undefined,
        password: undefined,
        access_key: 'a',
        secret_key: 'b',
        interface: 'web_session',
      },
      'interface',
      /needs username and password/,
    ],
    [{ scanner: 'Berlin' }, 'scanner', /type: tenable_vm only/],
    [{ password: '${NOWHERE}' }, 'password', /the variable NOWHERE is not set/],
    [{ url: 'https://${NOWHERE}' }, 'url', /the variable NOWHERE is not set/],
    [{ max_concurrent_scans: '${NOWHERE}' }, 'max_concurrent_scans', /the variable NOWHERE is not set/],
    [{ headers: '{ A: "${NOWHERE}" }' }, 'headers.A', /the variable NOWHERE is not set/],
  ])('is found once, with its place: %j', (keys, key, expectation) => {
    expect(mistakes(() => read(instance(keys)))).toEqual({
      [`nessus[0].${key}`]: expect.stringMatching(expectation),
    });
  });

  it('is told with all others at once', () => {
    const yaml = `${instance({ url: 'http://a', enabled: 'maybe' })}  - instance_id: s2\nDmz:\n  []\n`;
    expect(Object.keys(mistakes(() => read(yaml))).sort()).toEqual([
      'Dmz',
      'nessus[0].enabled',
      'nessus[0].url',
      'nessus[1].url',
    ]);
  });

  it('may be an instance id that occurs twice in its pool, after a broken instance too', () => {
    const yaml = `${instance({ url: 'x' })}${instance().replace('nessus:\n', '')}${instance().replace('nessus:\n', '')}`;
    expect(mistakes(() => read(yaml))).toMatchObject({
      'nessus[2].instance_id': expect.stringMatching(/nessus\[1\] has the same/),
    });
  });

  it.each([
    ['', '(file)', /mapping/],
    ['[]', '(file)', /mapping/],
    ['{}', '(file)', /at least one pool/],
    ['nessus:', 'nessus', /list with at least one instance/],
    ['nessus: []', 'nessus', /list with at least one instance/],
    ['nessus: [x]', 'nessus[0]', /mapping with the keys/],
    ['Nessus!: [x]', 'Nessus!', /expected a pool name/],
  ])('may be its shape: %j', (yaml, path, expectation) => {
    expect(mistakes(() => read(yaml))[path]).toMatch(expectation);
  });

  it.each([
    ['nessus:\n  - url: a\n   password: canary', 'line 3'],
    ['nessus:\n  - password: "canary', 'line 2'],
    ['nessus:\n  - password: "can"canary', 'line 2'],
    ['nessus:\n  - password: *canary', '(file)'],
    ['nessus:\n  - password: !canary x', 'line 2'],
    ['nessus:\n  - password: @canary', 'line 2'],
    ['nessus: 1\nnessus: canary', 'line 2'],
  ])('may be its YAML, told by its place and never by its content: %j', (yaml, place) => {
    const found = mistakes(() => read(yaml));
    expect(Object.keys(found)[0]).toContain(place);
    expect(JSON.stringify(found)).not.toContain('canary');
  });
});

describe('without a scanners.yaml', () => {
  const settings = { scannerConfigFile: join(directory, 'none.yaml'), maxConcurrentScans: 2 };

  it('the environment gives one scanner', () => {
    const { pools, defaultPool } = readScannersConfig(settings, {
      NESSUS_URL: 'https://a:8834/',
      NESSUS_USERNAME: 'u',
      NESSUS_PASSWORD: 'p',
      NESSUS_TLS_FINGERPRINT: 'AB'.repeat(32),
    });
    expect(defaultPool).toBe('nessus');
    expect(pools.get('nessus')).toMatchObject([
      {
        instanceKey: 'nessus:scanner1',
        url: 'https://a:8834',
        auth: { kind: 'session', username: 'u', password: 'p' },
        tlsFingerprint: 'ab'.repeat(32),
        maxConcurrentScans: 2,
      },
    ]);
  });

  it('mistakes are told by the names of the variables', () => {
    const env = { NESSUS_URL: 'http://a', NESSUS_ACCESS_KEY: 'a', NESSUS_TLS_FINGERPRINT: 'x' };
    expect(Object.keys(mistakes(() => readScannersConfig(settings, env))).sort()).toEqual([
      'NESSUS_TLS_FINGERPRINT',
      'NESSUS_URL',
    ]);
    expect(mistakes(() => readScannersConfig(settings, { ...env, ...RIGHT }))).toEqual({
      NESSUS_SECRET_KEY: 'expected together with access_key',
    });
  });
  const RIGHT = { NESSUS_URL: 'https://a', NESSUS_TLS_FINGERPRINT: '' };

  it('and without NESSUS_URL, the mistake says what to do', () => {
    const message = mistakes(() => readScannersConfig(settings, {})).SCANNER_CONFIG ?? '';
    for (const part of ['none.yaml', 'config/scanners.example.yaml', 'NESSUS_URL'])
      expect(message).toContain(part);
  });

  it('a directory in its place is a mistake', () => {
    expect(
      mistakes(() => readScannersConfig({ ...settings, scannerConfigFile: directory }, { NESSUS_URL: 'x' })),
    ).toEqual({ SCANNER_CONFIG: expect.stringMatching(/EISDIR/) });
  });
});

describe('a secret in a file', () => {
  const placeholder = (inside: string): string => `'\${${inside}}'`;
  const secretFile = (name: string, content: string): string => {
    writeFileSync(join(directory, name), content);
    return join(directory, name);
  };

  it('takes the place of a placeholder in scanners.yaml, without the line end at its end', () => {
    const path = secretFile('password', ' blank at both ends \n');
    const [scanner] = read(instance({ password: placeholder(`file:${path}`) }), {}).pools.get('nessus') ?? [];
    expect(scanner?.auth).toMatchObject({ password: ' blank at both ends ' });
  });

  it('that is not there is a mistake with its place', () => {
    expect(mistakes(() => read(instance({ password: placeholder('file:no-such') }), {}))).toEqual({
      'nessus[0].password': expect.stringContaining('no-such cannot be read'),
    });
    const large = secretFile('large', 'x'.repeat(65 * 1024));
    expect(
      Object.keys(mistakes(() => read(instance({ password: placeholder(`file:${large}`) }), {}))),
    ).toEqual(['nessus[0].password']);
  });

  it('may be named by NESSUS_PASSWORD_FILE, for a placeholder too, and is read anew each time', () => {
    const env = { NESSUS_PASSWORD_FILE: secretFile('rotated', 'first\n') };
    const password = () =>
      read(instance({ password: placeholder('NESSUS_PASSWORD') }), env).pools.get('nessus')?.[0]?.auth;
    expect(password()).toMatchObject({ password: 'first' });
    secretFile('rotated', 'second');
    expect(password()).toMatchObject({ password: 'second' });
  });
});

describe('config/scanners.example.yaml', () => {
  const example = readFileSync(resolve('config/scanners.example.yaml'), 'utf8');
  const env = new Proxy<Record<string, string>>(
    {},
    { get: (_, name) => (name === 'NESSUS_HOST' ? 'h' : 'x') },
  );

  it('is right as it stands', () => {
    expect(read(example, env).pools.get('nessus')).toHaveLength(1);
  });

  it('is right with everything uncommented that is commented out', () => {
    const whole = example
      .split('\n')
      .map((line) => line.replace(/^( *)# (?=( {2})*(- )?(instance_id|[a-z_]+:(?= |$)|X-|"\*": ))/, '$1'))
      .filter((line) => !/ca_file|tls_fingerprint/.test(line))
      .join('\n');
    const config = read(whole, env);
    const { pools } = config;
    expect([...pools.values()].flat().map(({ instanceKey }) => instanceKey)).toEqual([
      'nessus:scanner1',
      'nessus:scanner2',
      'cloud:tenable',
      'nessus_dmz:scanner1',
      'nessus_plant:scanner1',
    ]);
    expect(config.poolRules.get('nessus_plant')?.hours?.windows).toHaveLength(1);
    expect(config.targetRules.map(({ name }) => name)).toEqual(['plant']);
    expect([...config.principalRules.keys()]).toEqual(['nightly', '*']);
    expect(pools.get('cloud')?.[0]).toMatchObject({ type: 'tenable_vm', scanner: 'Scanner in Berlin' });
    expect(pools.get('nessus_dmz')?.[0]?.interface).toBe('web_session');
    expect(pools.get('nessus')?.[1]).toMatchObject({ headers: { 'X-Proxy-Token': 'x' }, follow: 'My Scans' });
  });
});

describe('rules in scanners.yaml', () => {
  const inside =
    '    instance_id: s1\n      url: https://a:8834\n      username: u\n      password: p'.trim();
  const pool = (rules: string): string => `nessus:\n${rules}\n  instances:\n    - ${inside}\n`;

  it('of pools, target networks and principals are read, with placeholders', () => {
    const config = read(
      `${pool('  networks: ["${NET}", .example.com]\n  time_zone: Europe/Berlin\n  at_close: continue\n  windows:\n    - { opens: "0 22 * * mon-fri", hours: 8 }')}
target_limits:
  - { name: plant, targets: 10.7.0.0/16, max_concurrent_scans: 1 }
  - { targets: [10.8.0.1, plc.example.com], windows: [{ opens: "0 1 * * *", hours: 2, time_zone: UTC }] }
principals:
  nightly: { share: 0.5, max_concurrent_scans: 2 }
  "*":
`,
      { NET: '10.0.0.0/8' },
    );
    const rules = config.poolRules.get('nessus');
    expect(rules?.networks?.texts).toEqual(['10.0.0.0/8', '.example.com']);
    expect(rules?.hours).toEqual({
      windows: [{ opens: '0 22 * * mon-fri', durationMs: 8 * 3_600_000, timeZone: 'Europe/Berlin' }],
      atClose: 'continue',
    });
    expect(config.targetRules.map(({ name, maxConcurrentScans }) => [name, maxConcurrentScans])).toEqual([
      ['plant', 1],
      ['10.8.0.1 plc.example.com', undefined],
    ]);
    expect(config.principalRules.get('nightly')).toEqual({ share: 0.5, maxConcurrentScans: 2 });
    expect(config.principalRules.get('*')).toEqual({ share: 1, maxConcurrentScans: undefined });
    expect(config.pools.get('nessus')).toHaveLength(1);
  });

  it('say all that is wrong with them, each at its place', () => {
    const found = mistakes(() =>
      read(`${pool('  networks: 10.0.0.300\n  windows: [{ opens: "whenever", hours: 200 }]\n  colour: red')}
target_limits:
  - { targets: 10.7.0.0/16 }
  - { targets: 10.8.0.0/16, max_concurrent_scans: 0 }
principals:
  nightly: { share: -1 }
`),
    );
    expect(Object.keys(found).sort()).toEqual(
      [
        'nessus.colour',
        'nessus.networks',
        'nessus.windows.0.hours',
        'nessus.windows.0.opens',
        'principals.nightly.share',
        'target_limits[0]',
        'target_limits[1].max_concurrent_scans',
      ].sort(),
    );
    for (const message of Object.values(found)) expect(message).toMatch(/^(expected|unknown)/);
    expect(
      mistakes(() => read(pool('  windows: [{ opens: "61 0 * * *", hours: 1 }]\n  time_zone: Mars/Base'))),
    ).toMatchObject({ 'nessus.time_zone': expect.stringContaining('IANA') });
    expect(mistakes(() => read(pool('  windows: [{ opens: "61 0 * * *", hours: 1 }]')))).toHaveProperty([
      'nessus.windows.0.opens',
    ]);
    expect(mistakes(() => read('nessus: { instances: [] }\n'))).toHaveProperty('nessus');
  });
});
