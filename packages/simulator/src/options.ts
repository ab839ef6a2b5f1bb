import { z } from 'zod';

export const PRODUCTS = ['manager', 'professional', 'expert', 'essentials'] as const;

const ms = z
  .number()
  .min(0)
  .max(7 * 24 * 3_600_000);

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
    .describe('manager offers launching scans by API, the others do not'),
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
  startDelayMs: ms.default(500).describe('pending → running'),
  scanDurationMs: ms.default(60_000).describe('running → completed'),
  stopDelayMs: ms.default(500).describe('stopping → canceled; pausing → paused'),
  exportDelayMs: ms.default(500).describe('export requested → ready'),
  exportLifeMs: ms.default(15 * 60_000).describe('an export is dropped after this long'),
  idleSessionMs: ms.default(30 * 60_000).describe('a session that is not used ends after this long'),
  maxScans: z.number().int().min(0).default(0).describe('more launched scans stay pending; 0 = no limit'),
  licenceIps: z.number().int().min(1).optional().describe('hosts of a scan above this number are left out'),
  aliveShare: z
    .number()
    .min(0)
    .max(1)
    .default(1)
    .describe('share of the addresses of a network or range that answer'),
  stoppedWord: z
    .enum(['canceled', 'stopped'])
    .default('canceled')
    .describe('status after a stop; depends on the release'),
  uiVersion: z.string().default('10.10.1'),
  samples: z
    .array(z.string())
    .optional()
    .describe('.nessus or .nessus.gz files to replay; the bundled ones when left out'),
  certificate: z.strictObject({ certPem: z.string(), keyPem: z.string() }).optional(),
  seed: z.number().int().default(1),
});
export type SimulatorOptions = z.input<typeof simulatorOptionsSchema>;
export type SimulatorSettings = z.output<typeof simulatorOptionsSchema>;
