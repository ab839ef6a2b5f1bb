import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { generate } from 'selfsigned';

export interface CertificatePair {
  readonly certPem: string;
  readonly keyPem: string;
}

/**
 * A certificate like the one that a Nessus makes at its installation: signed by nobody we know, and for a name that does
 * not match the address (nessus-api.md section 1.1).
 * @param names host names and addresses that it is valid for after all.
 */
export async function createCertificate(names: readonly string[]): Promise<CertificatePair> {
  const subject = [
    { name: 'commonName', value: 'scanmq-simulator' },
    { name: 'organizationName', value: 'scanmq simulator, not a scanner' },
  ];
  const { cert, private: key } = await generate(subject, {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'keyUsage', digitalSignature: true, keyEncipherment: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames:
          names.length === 0
            ? [{ type: 2, value: 'scanmq-simulator' }]
            : names.map((name) => (isIP(name) === 0 ? { type: 2, value: name } : { type: 7, ip: name })),
      },
    ],
  });
  return { certPem: cert, keyPem: key };
}

/** Names of the simulator as seen from its own machine, which is where it is reachable from. */
const OWN_NAMES = ['127.0.0.1', 'localhost'];

/**
 * The pair of this directory (`certificate.pem` and `key.pem`), which is made where it is missing: programs that were told
 * to trust the first file go on doing so after a restart.
 */
export async function keepCertificate(directory: string): Promise<CertificatePair> {
  const certFile = join(directory, 'certificate.pem');
  const keyFile = join(directory, 'key.pem');
  const kept = readPair(certFile, keyFile);
  if (kept) return kept;
  const pair = await createCertificate(OWN_NAMES);
  mkdirSync(directory, { recursive: true });
  writeFileSync(keyFile, pair.keyPem, { mode: 0o600 });
  writeFileSync(certFile, pair.certPem);
  return pair;
}

function readPair(certFile: string, keyFile: string): CertificatePair | undefined {
  try {
    return { certPem: readFileSync(certFile, 'utf8'), keyPem: readFileSync(keyFile, 'utf8') };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
