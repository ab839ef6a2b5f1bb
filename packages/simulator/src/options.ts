import { InvalidRequestError } from '@scanmq/contract';
import { z } from 'zod';

export const PRODUCTS = ['manager', 'professional', 'expert', 'essentials', 'tenable_vm'] as const;

const ms = z
  .number()
  .min(0)
  .max(7 * 24 * 3_600_000);

/** What time it is, in milliseconds since 1970. */
export type Clock = () => number;

export type Product = (typeof PRODUCTS)[number];

/** Everything that can be set when a simulator starts; all has a default. */
export const simulatorOptionsSchema = z.strictObject({
  host: z
    .literal(['127.0.0.1', '::1'])
    .default('127.0.0.1')
    .describe('the simulator is reachable from this machine only'),
  port: z.number().int().min(0).max(65_535).default(0).describe('HTTPS; 0 = any free'),
  controlPort: z
    .number()
    .int()
    .min(0)
    .max(65_535)
    .default(0)
    .describe('plain HTTP of the control address; 0 = any free'),
  product: z
    .enum(PRODUCTS)
    .default('manager')
    .describe(
      'manager offers launching scans by API, the other Nessus products do not; tenable_vm is the cloud service',
    ),
  username: z.string().default('simulator'),
  password: z.string().min(1).default('simulator'),
  accessKey: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
  secretKey: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
  startDelayMs: ms.default(500).describe('pending → running; of tenable_vm also initializing → pending'),
  scanDurationMs: ms.default(60_000).describe('running → completed'),
  stopDelayMs: ms
    .default(500)
    .describe('stopping → canceled; pausing → paused; of tenable_vm publishing → completed'),
  exportDelayMs: ms.default(500).describe('export requested → ready'),
  exportLifeMs: ms.default(15 * 60_000).describe('an export is dropped after this long'),
  idleSessionMs: ms.default(30 * 60_000).describe('a session that is not used ends after this long'),
  maxScans: z.number().int().min(0).default(0).describe('more launched scans stay pending; 0 = no limit'),
  licenceIps: z
    .number()
    .int()
    .min(1)
    .optional()
    .describe('hosts of a scan above this number are left out; 16 for essentials'),
  aliveShare: z
    .number()
    .min(0)
    .max(1)
    .default(1)
    .describe('share of the addresses of a network or range that answer'),
  hostsPerScan: z.number().int().min(1).default(1_024).describe('more hosts than these are never made up'),
  stoppedWord: z
    .enum(['canceled', 'stopped'])
    .default('canceled')
    .describe('status after a stop; depends on the release'),
  legacyConflicts: z
    .boolean()
    .default(false)
    .describe('a call in the wrong state answers 500, as old releases did, and not 409'),
  uiVersion: z
    .string()
    .regex(/^\d+\.\d+/)
    .default('10.10.1')
    .describe('from 10.12 on, /tokens needs a login, and plugins the header X-API-Version: 2'),
  samples: z
    .array(z.string())
    .optional()
    .describe('.nessus or .nessus.gz files to replay; the bundled ones when left out'),
  certificate: z
    .strictObject({ certPem: z.string(), keyPem: z.string() })
    .optional()
    .describe('a pair to keep; a new one is made when left out'),
  certificateNames: z
    .array(z.string().min(1))
    .default([])
    .describe('host names and addresses of the certificate that is made; none matches when empty'),
  seed: z.number().int().default(1),
});
export type SimulatorOptions = z.input<typeof simulatorOptionsSchema>;
export type SimulatorSettings = z.output<typeof simulatorOptionsSchema>;

/** Addresses that an Essentials licence covers (nessus-api.md section 8.2). */
const ESSENTIALS_IPS = 16;

/** @throws InvalidRequestError with everything that is wrong. */
export function readOptions(options: SimulatorOptions): SimulatorSettings {
  const parsed = simulatorOptionsSchema.safeParse(options);
  if (!parsed.success) {
    throw new InvalidRequestError(
      `The options of the simulator are not valid: ${z.prettifyError(parsed.error)}`,
      parsed.error.issues.map(({ path, message }) => ({ path: path.join('.'), message })),
    );
  }
  const settings = parsed.data;
  return settings.product === 'essentials'
    ? { ...settings, licenceIps: settings.licenceIps ?? ESSENTIALS_IPS }
    : settings;
}

/** Whether the simulated release is this one or a later one. */
export function isAtLeast(uiVersion: string, major: number, minor: number): boolean {
  const [ownMajor = 0, ownMinor = 0] = uiVersion.split('.').map(Number);
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}
