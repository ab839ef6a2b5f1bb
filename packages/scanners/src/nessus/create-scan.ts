import { ScannerError, SECRET_FIELDS } from '@scanmq/contract';
import type { Scanner } from '../scanner.js';
import type { Connection } from './connection.js';
import { credentialPayload } from './credentials.js';
import { createdSchema, templatesSchema, uploadedSchema } from './decode.js';
import type { Folders } from './folders.js';
import { TEMPLATE_UUIDS } from './templates.js';

/** Settings of a new scan beside name, description, targets and folder. @throws ScannerError when it cannot be made so. */
export type FurtherSettings = (
  templateUuid: string,
  signal: AbortSignal | undefined,
) => Promise<Readonly<Record<string, unknown>>>;

/** Makes scans (nessus-api.md sections 3.1, 4.1 and 4.2). */
export function createScanMaker(
  { instanceKey, ask }: Connection,
  folders: Folders,
  furtherSettings: FurtherSettings,
): Pick<Scanner, 'createScan'> {
  async function templateUuid(name: string, signal: AbortSignal | undefined): Promise<string> {
    const { templates } = await ask(
      { method: 'GET', path: '/editor/scan/templates', operation: 'templates', kind: 'read', signal },
      templatesSchema,
    );
    const uuid = templates.find((template) => template.name === name)?.uuid ?? TEMPLATE_UUIDS.get(name);
    if (uuid !== undefined) return uuid;
    const known = templates.map((template) => template.name).sort();
    throw new ScannerError(
      'scanner_rejected',
      `${instanceKey} has no template '${name}'. It has: ${known.join(', ')}.`,
      { instanceKey, operation: 'templates' },
    );
  }

  async function uploadKey(privateKey: string, signal: AbortSignal | undefined): Promise<string> {
    const form = new FormData();
    form.set('Filedata', new Blob([privateKey]), 'private_key');
    // an upload that is repeated only makes another file
    const { fileuploaded } = await ask(
      {
        method: 'POST',
        path: '/file/upload',
        operation: 'upload key',
        kind: 'export',
        form,
        secrets: [privateKey],
        signal,
      },
      uploadedSchema,
    );
    return fileuploaded;
  }

  return {
    async createScan(plan, signal, write) {
      const uuid = await templateUuid(plan.template, signal);
      const folder_id = await folders.ours(signal);
      const further = await furtherSettings(uuid, signal);
      const credentials =
        plan.credentials && (await credentialPayload(plan.credentials, (key) => uploadKey(key, signal)));
      const settings = {
        name: plan.name,
        description: plan.description,
        text_targets: plan.targets,
        ...further,
        ...(folder_id === undefined ? {} : { folder_id }),
      };
      const { scan } = await ask(
        {
          method: 'POST',
          path: '/scans',
          operation: 'create',
          kind: 'scan',
          secrets: SECRET_FIELDS.flatMap((field) => plan.credentials?.[field] ?? []),
          json: { uuid, settings, ...(credentials ? { credentials } : {}) },
          signal,
          ...write,
        },
        createdSchema,
      );
      return { scanId: scan.id };
    },
  };
}
