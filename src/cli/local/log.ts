// The log of a running role: JSON lines by winston, on standard error.
import type { Writable } from 'node:stream';
import { createLogger, format, transports, type Logger } from 'winston';

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';
export const LOG_LEVELS: readonly LogLevel[] = ['error', 'warn', 'info', 'debug'];

/** Lines of `{"timestamp","level","message",…}`. */
export function openLog(stream: Writable, level: LogLevel): Logger {
  return createLogger({
    level,
    format: format.combine(format.timestamp(), format.errors({ stack: true }), format.json()),
    transports: [new transports.Stream({ stream })],
  });
}
