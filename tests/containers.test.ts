/** What is in docker/: compose files and the image. No container engine is needed. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SECRET_VARIABLES, VARIABLES } from '@scanmq/config';
import { freePort } from '@scanmq/local-redis';
import { startProgram, until } from '@scanmq/testkit';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { validate as validateDockerfile } from 'dockerfile-utils';
import { parse as parseYaml } from 'yaml';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const docker = join(root, 'docker');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
// biome-ignore lint/suspicious/noExplicitAny: documents whose shape is what is under test
type Tree = any;
const COMPOSE_FILES = readdirSync(docker).filter((name) => /^compose(\.\w+)?\.yaml$/.test(name));
const compose = (name: string): Tree => parseYaml(read(`docker/${name}`), { merge: true });
const composed = Object.fromEntries(COMPOSE_FILES.map((name) => [name, compose(name)]));
/** A check against a JSON schema. Which draft it names is left out: some name it in a way that nobody knows. */
function checker(path: string): (document: unknown) => unknown {
  const { $schema, ...schema } = JSON.parse(read(`node_modules/${path}`));
  expect($schema).toContain('json-schema.org/draft');
  const validate = new Ajv2019({ strict: false, validateFormats: false }).compile(schema);
  return (document) => validate(document) || validate.errors;
}
/** Services of all files that run our image. */
const OWN = Object.entries(composed).flatMap(([file, { services }]) =>
  Object.entries<Tree>(services)
    .filter(([, service]) => service.build !== undefined)
    .map(([name, service]): [string, Tree] => [`${file} ${name}`, service]),
);

/** Runs the command as it is built, and answers with what it printed. */
function scanmq(...args: string[]): string {
  return execFileSync(process.execPath, [join(root, 'apps/cli/bin/scanmq.js'), ...args], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH },
  });
}

describe('the compose files', () => {
  it('are these', () => {
    expect(COMPOSE_FILES.sort()).toEqual([
      'compose.dev.yaml',
      'compose.ha.yaml',
      'compose.prod.yaml',
      'compose.yaml',
    ]);
  });

  it.each(COMPOSE_FILES)('%s fits the specification of compose files', (file) => {
    const check = checker('dclint/schemas/compose.schema.json');
    expect(check(composed[file])).toBe(true);
    expect(check({ ...composed[file], service: {} })).not.toBe(true);
  });

  it('have nothing that the linter warns of', () => {
    const dclint = [
      'node_modules/dclint/bin/dclint.cjs',
      '--config',
      '.dclintrc.json',
      '--max-warnings',
      '0',
    ];
    const files = COMPOSE_FILES.map((file) => `docker/${file}`);
    // it ends with 1 where it finds something
    execFileSync(process.execPath, [...dclint, ...files], { cwd: root, encoding: 'utf8' });
  });

  it('name settings that exist', () => {
    const known = new Set(Object.keys(VARIABLES).flatMap((name) => [name, `${name}_FILE`]));
    const named = OWN.flatMap(([, { environment = {} }]) => Object.keys(environment));
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((name) => !known.has(name))).toEqual([]);
  });

  it('run commands that exist, with options that exist', () => {
    const commands = OWN.flatMap(([, { command }]) =>
      command === undefined ? [] : [String(command).split(' ')],
    );
    expect(new Set(commands.map(([name]) => name))).toEqual(new Set(['gateway', 'worker', 'simulator']));
    const helps = new Map(commands.map(([name = '']) => [name, '']));
    for (const name of helps.keys()) helps.set(name, scanmq(name, '--help'));
    for (const [name = '', ...rest] of commands) {
      const help = helps.get(name);
      expect(help).toContain(`scanmq ${name}`);
      for (const option of rest.filter((word) => word.startsWith('--'))) expect(help).toContain(option);
    }
  });

  it('run what is pinned to a version', () => {
    const images = Object.values(composed).flatMap(({ services }) =>
      Object.values<Tree>(services).map(({ image }) => String(image).replace(/^\$\{\w+:-(.*)\}$/, '$1')),
    );
    expect(images.filter((image) => !/:\d+\.\d+\.\d+(-\w+)?$/.test(image))).toEqual([]);
    const { version } = JSON.parse(read('apps/cli/package.json'));
    for (const image of images.filter((name) => name.startsWith('scanmq')))
      expect(image).toMatch(`:${version}`);
  });

  it.each(COMPOSE_FILES.filter((file) => file !== 'compose.dev.yaml'))(
    '%s gives no container a privilege, or a place to write but its volumes',
    (file) => {
      for (const [name, service] of Object.entries<Tree>(composed[file].services)) {
        expect({ name, ...service }).toMatchObject({
          read_only: true,
          cap_drop: ['ALL'],
          security_opt: ['no-new-privileges:true'],
          restart: 'unless-stopped',
        });
        expect({ name, privileged: service.privileged }).toEqual({ name, privileged: undefined });
        // ours says so itself
        if (service.build === undefined) expect(service.user).toMatch(/^[1-9]\d*:\d+$/);
      }
    },
  );

  it('say when a service is well, and limit what it takes where work is done', () => {
    for (const [name, service] of OWN)
      expect({ name, test: service.healthcheck?.test }).toMatchObject({ test: expect.any(Array) });
    for (const file of ['compose.prod.yaml', 'compose.ha.yaml'])
      for (const [name, service] of Object.entries<Tree>(composed[file].services)) {
        if (/sentinel|proxy/.test(name)) continue;
        expect({ name, limits: service.deploy?.resources?.limits }).toMatchObject({
          limits: { memory: expect.any(String) },
        });
      }
  });

  it('give a worker more time than it takes to hand over', () => {
    for (const [name, service] of OWN.filter(([, { command }]) => command === 'worker')) {
      const grace = Number(
        service.environment.SHUTDOWN_GRACE_SECONDS ?? VARIABLES.SHUTDOWN_GRACE_SECONDS.default,
      );
      expect({ name, seconds: Number.parseInt(service.stop_grace_period, 10) > grace }).toEqual({
        name,
        seconds: true,
      });
    }
  });

  it('have their secrets in files that exist nowhere here', () => {
    for (const file of ['compose.prod.yaml', 'compose.ha.yaml']) {
      const names = Object.keys(composed[file].secrets);
      const used = Object.values<Tree>(composed[file].services).flatMap(({ secrets = [] }) => secrets);
      expect([...new Set(used)].sort()).toEqual(names.sort());
      for (const { file: path } of Object.values<Tree>(composed[file].secrets))
        expect(path).toMatch(/^\.\/secrets\//);
      expect(read(`docker/${file}`)).not.toMatch(/(password|secret|key): *["']?[A-Za-z0-9+/]{8}/i);
    }
    expect(read('.gitignore')).toContain('/docker/secrets/');
  });

  it('put no secret into an environment, but for the password of a simulator', () => {
    for (const [name, { environment = {} }] of OWN) {
      const secrets = SECRET_VARIABLES.filter((variable) => variable in environment);
      const allowed = name.startsWith('compose.yaml')
        ? { NESSUS_PASSWORD: 'simulator', REDIS_URL: 'redis://127.0.0.1:6379' }
        : { REDIS_URL: 'redis://127.0.0.1:6379' };
      for (const secret of secrets) expect(allowed).toHaveProperty(secret, environment[secret]);
    }
  });

  it('open a gateway to others only where it has keys, which workers do not have', () => {
    const services = OWN.filter(([, { command }]) => command === 'gateway' || command === 'worker');
    for (const [name, { command, environment, volumes }] of services) {
      const closed = environment.HOST !== undefined && command === 'gateway';
      expect({ name, keys: environment.API_KEYS_FILE, audit: environment.AUDIT_FILE }).toEqual({
        name,
        keys: closed ? '/access/keys.json' : undefined,
        audit: closed ? '/access/audit.log' : undefined,
      });
      expect({ name, access: volumes.includes('access:/access') }).toEqual({ name, access: closed });
    }
    expect(services.filter(([, { environment }]) => environment.HOST === '0.0.0.0')).toHaveLength(5);
  });

  it('mount files that exist', () => {
    for (const [file, { services }] of Object.entries(composed))
      for (const { volumes = [] } of Object.values<Tree>(services))
        for (const source of volumes.map((volume: string) => volume.split(':')[0])) {
          // made by whoever runs it
          if (!source.startsWith('.') || source === './config') continue;
          expect({ file, source, there: existsSync(join(docker, source)) }).toEqual({
            file,
            source,
            there: true,
          });
        }
  });

  it('lead the proxy to the port of the gateway, and the door of the demonstration too', () => {
    const port = VARIABLES.PORT.default;
    for (const file of ['compose.prod.yaml', 'compose.ha.yaml']) {
      const { services } = composed[file];
      for (const upstream of services.proxy.environment.GATEWAYS.split(' ')) {
        const [host, to] = upstream.split(':');
        expect(services[host].command).toBe('gateway');
        expect(to).toBe(port);
      }
    }
    expect(read('docker/proxy/demo.Caddyfile')).toContain(`reverse_proxy 127.0.0.1:${port}\n`);
    expect(read('docker/proxy/Caddyfile')).toContain('reverse_proxy {$GATEWAYS}');
  });

  it('give each Redis and each Sentinel the address that the others know', () => {
    const { services } = composed['compose.ha.yaml'];
    const sentinels = [1, 2, 3].map((number) => services[`sentinel${number}`]);
    for (const service of [...sentinels, services.redis1, services.redis2, services.redis3])
      expect(service.networks.back.ipv4_address).toBe(
        service.environment.REDIS_NAME ?? service.environment.SENTINEL_NAME,
      );
    for (const service of [...sentinels, services.redis2, services.redis3])
      expect(service.environment.REDIS_FIRST).toBe(services.redis1.networks.back.ipv4_address);
    expect(services.worker.environment.REDIS_SENTINELS.split(',')).toEqual(
      sentinels.map(({ networks }) => `${networks.back.ipv4_address}:26379`),
    );
    expect(services.worker.environment.REDIS_SENTINEL_NAME).toBe(
      /sentinel monitor (\w+)/.exec(read('docker/redis/sentinel.sh'))?.[1],
    );
  });
});

describe('the Dockerfile', () => {
  const text = read('docker/Dockerfile');

  it('has no mistake that its language server knows', () => {
    expect(validateDockerfile(text)).toEqual([]);
    // it finds some
    expect(validateDockerfile('FROM\nRUNN x')).not.toEqual([]);
  });

  it('ends as a user with a number, not root, and runs no script of an installed package', () => {
    const last = text.slice(text.lastIndexOf('\nFROM '));
    expect(last).toMatch(/^USER [1-9]\d*:[1-9]\d*$/m);
    const installs = text.match(/npm (ci|install)[^\n]*/g) ?? [];
    expect(installs.length).toBeGreaterThan(1);
    for (const line of installs) expect(line).toContain('--ignore-scripts');
    expect(text).toMatch(/^ARG NODE_IMAGE=docker\.io\/library\/node:24\.\d+\.\d+-bookworm-slim$/m);
  });

  it('exposes the ports of the services', () => {
    expect(text).toContain(`\nEXPOSE ${VARIABLES.PORT.default} ${VARIABLES.WORKER_PORT.default}\n`);
  });

  it('takes nothing in that is not named', () => {
    const lines = read('.dockerignore').split('\n');
    expect(lines.find((line) => line !== '' && !line.startsWith('#'))).toBe('**');
  });
});

describe('the health check of the image', () => {
  let simulator: ReturnType<typeof startProgram>;
  let port: number;
  beforeAll(async () => {
    port = await freePort();
    simulator = startProgram(['simulator', '--port', '0', '--control-port', String(port), '--json'], {});
  });
  afterAll(async () => {
    simulator.kill('SIGTERM');
    await simulator.ended;
  });

  const check = (service: string, env: Record<string, string>): number => {
    try {
      execFileSync(process.execPath, [join(docker, 'healthcheck.mjs'), service], { env, stdio: 'ignore' });
      return 0;
    } catch (error) {
      return (error as { status: number }).status;
    }
  };

  it('fails while nothing listens, and when what listens is not ready', async () => {
    expect(check('gateway', { PORT: String(await freePort()) })).toBe(1);
    // somebody answers there, but not as a worker that is ready does
    await until('it listens', () => simulator.output().includes('control_url'));
    expect(check('worker', { WORKER_PORT: String(port) })).toBe(1);
  });

  it('says nothing against a command that does not listen', () => {
    expect(check('keys', {})).toBe(0);
  });
});
