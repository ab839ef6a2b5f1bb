export { startWorkerProcess, type WorkerProcess, type WorkerProcessOptions } from './worker.js';
