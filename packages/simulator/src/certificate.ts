import { isIP } from 'node:net';
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
