import type { Connection } from './connection.js';
import { folderCreatedSchema, foldersSchema } from './decode.js';

/** Folders of a scanner by their names (nessus-api.md section 3.4). */
export interface Folders {
  /** @returns undefined when there is none of this name. */
  find(name: string, signal: AbortSignal | undefined): Promise<number | undefined>;
  /** The folder that holds our scans, made when it is missing. @returns undefined when none is configured. */
  ours(signal: AbortSignal | undefined): Promise<number | undefined>;
}

export function createFolders({ config, ask }: Connection): Folders {
  let ourId: number | undefined;

  async function find(name: string, signal: AbortSignal | undefined): Promise<number | undefined> {
    const { folders } = await ask(
      { method: 'GET', path: '/folders', operation: 'folders', kind: 'read', signal },
      foldersSchema,
    );
    return folders.find((candidate) => candidate.name === name)?.id;
  }

  return {
    find,
    async ours(signal) {
      const name = config.folder;
      if (name === undefined || ourId !== undefined) return ourId;
      ourId =
        (await find(name, signal)) ??
        (
          await ask(
            {
              method: 'POST',
              path: '/folders',
              operation: 'create folder',
              kind: 'scan',
              json: { name },
              signal,
            },
            folderCreatedSchema,
          )
        ).id;
      return ourId;
    },
  };
}
