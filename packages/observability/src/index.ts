export { addSecret, createLogger, type Logger, type LoggerOptions } from './logger.js';
export { hideValues } from './secret-values.js';
