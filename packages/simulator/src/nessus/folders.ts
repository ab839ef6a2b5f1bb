/** Ids differ between installations: clients find them by `type` (nessus-api.md section 3.4). */
export const MAIN_FOLDER = 3;
export const TRASH_FOLDER = 2;

export interface Folder {
  readonly id: number;
  readonly name: string;
  readonly type: 'trash' | 'main' | 'custom';
  readonly default_tag: 0 | 1;
  readonly custom: 0 | 1;
  readonly unread_count: null;
}

/** The two that every installation has. */
export function firstFolders(): Folder[] {
  return [
    { id: TRASH_FOLDER, name: 'Trash', type: 'trash', default_tag: 0, custom: 0, unread_count: null },
    { id: MAIN_FOLDER, name: 'My Scans', type: 'main', default_tag: 1, custom: 0, unread_count: null },
  ];
}
