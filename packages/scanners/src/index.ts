export * from './scanner.js';
