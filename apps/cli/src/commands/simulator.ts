import { randomBytes } from 'node:crypto';
import { FAULTS, keepCertificate, type PRODUCTS, type Simulator, startSimulator } from '@scanmq/simulator';
import { EXIT } from '../exit-codes.js';
import type { ProgramIo } from '../program-io.js';
import { untilStopped } from '../until-stopped.js';

export interface SimulatorCommandOptions {
  readonly port: number;
  readonly controlPort: number;
  readonly product: (typeof PRODUCTS)[number];
  readonly username: string;
  readonly password?: string;
  readonly scanSeconds: number;
  readonly sample?: readonly string[];
  readonly certificateDir?: string;
  readonly json?: boolean;
  readonly faults?: boolean;
}

/** `scanmq simulator`. */
export async function runSimulator(io: ProgramIo, options: SimulatorCommandOptions): Promise<number> {
  if (options.faults) {
    for (const [name, meaning] of Object.entries(FAULTS)) io.stdout.write(`${name.padEnd(24)} ${meaning}\n`);
    return EXIT.passed;
  }
  const password = options.password ?? randomBytes(12).toString('base64url');
  const simulator = await startSimulator({
    port: options.port,
    controlPort: options.controlPort,
    product: options.product,
    username: options.username,
    password,
    scanDurationMs: options.scanSeconds * 1_000,
    ...(options.sample ? { samples: [...options.sample] } : {}),
    ...(options.certificateDir === undefined
      ? {}
      : { certificate: await keepCertificate(options.certificateDir) }),
  });
  const facts = {
    url: simulator.url,
    control_url: simulator.controlUrl,
    tls_fingerprint: simulator.fingerprint256,
    ...(options.product === 'tenable_vm'
      ? { access_key: simulator.accessKey, secret_key: simulator.secretKey }
      : {
          username: options.username,
          ...(options.password === undefined || options.json ? { password } : {}),
        }),
  };
  if (options.json) io.stdout.write(`${JSON.stringify(facts)}\n`);
  else {
    io.stdout.write(
      `A simulated Nessus (no real scanner: it scans nothing and replays sample reports) listens.\n\n`,
    );
    for (const [name, value] of Object.entries(facts)) io.stdout.write(`  ${name.padEnd(16)} ${value}\n`);
    const setup =
      options.product === 'tenable_vm'
        ? cloudSetup(simulator)
        : `For a gateway and a worker:\n\n  export NESSUS_URL=${simulator.url} NESSUS_TLS_FINGERPRINT=${simulator.fingerprint256} \\\n    NESSUS_USERNAME=${options.username} NESSUS_PASSWORD='${password}'`;
    io.stdout.write(`\n${setup}\n\nCtrl-C ends it.\n`);
  }
  await untilStopped({});
  await simulator.close();
  return EXIT.passed;
}

/** The cloud service is no scanner that the variables describe: it needs its entry in the file. */
function cloudSetup({ url, fingerprint256, accessKey, secretKey }: Simulator): string {
  const lines = [
    'cloud:',
    '  - instance_id: simulator',
    '    type: tenable_vm',
    `    url: ${url}`,
    `    tls_fingerprint: ${fingerprint256}`,
    `    access_key: ${accessKey}`,
    `    secret_key: ${secretKey}`,
  ];
  return `In config/scanners.yaml, for a gateway and a worker:\n\n${lines.map((line) => `  ${line}`).join('\n')}`;
}
