export { createLogger, type Logger, type LoggerOptions } from './logger.js';
export { redactFields, redactValues, registerSecret } from './redaction.js';
