// The Console destination: what would be sent is printed, one line per item.
import type { Writable } from 'node:stream';
import { decodeOtlp } from '../otlp/json.ts';
import type { Sender } from '../sender.ts';
import { otlpLines } from './lines.ts';

/** Prints to `stream`, which stays the caller's. A stream that is full is waited for. */
export function consoleSender(stream: Writable): Sender {
  return {
    send: async ({ signal, bytes }, abort) => {
      const text = [...otlpLines(decodeOtlp(signal, bytes))].map((line) => `${line}\n`).join('');
      const cancelled = { status: 'retry', code: 'CANCELLED', message: 'cancelled' } as const;
      if (abort.aborted) return cancelled;
      return new Promise((resolve) => {
        stream.write(text, (error) => {
          if (error === null || error === undefined) resolve({ status: 'sent', rejected: 0 });
          else resolve({ status: 'retry', code: 'WRITE_FAILED', message: error.message });
        });
      });
    },
    close: () => {},
  };
}
