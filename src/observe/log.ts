// The log of a running role: JSON lines by winston, on standard error. docs/logs.md has the fields.
import type { Writable } from 'node:stream';
import { createLogger, format, transports, type Logger } from 'winston';

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';
export const LOG_LEVELS: readonly LogLevel[] = ['error', 'warn', 'info', 'debug'];

/** Lines of `{"timestamp","level","message",…}`; `fields` are in each of them. */
export function openLog(stream: Writable, level: LogLevel, fields: Readonly<Record<string, string>> = {}): Logger {
  return createLogger({
    level,
    defaultMeta: fields,
    format: format.combine(format.timestamp(), format.errors({ stack: true }), format.json()),
    transports: [new transports.Stream({ stream })],
  });
}
