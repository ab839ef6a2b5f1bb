export { createDirectoryStore } from './directory-store.js';
export { measure } from './measure.js';
export { openResultStore } from './open-store.js';
export {
  RECORD_FILE,
  type ResultStore,
  type StoredFile,
  type StoredRecord,
  type TaskFiles,
} from './store.js';
export { taskDirectory } from './task-directory.js';
