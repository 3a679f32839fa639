// Files of one JSON object a line. Integers of any size come through exactly: those that a number cannot hold are bigint.
import { createReadStream } from 'node:fs';
import { SourceError } from './source-error.ts';

/** A longer line is no row; without a limit a file without line breaks would be read whole. */
const LINE_BYTES_MAX = 16 * 1024 * 1024;

export type JsonObject = Readonly<Record<string, unknown>>;

export interface JsonLine {
  /** 1-based. */
  readonly line: number;
  readonly value: JsonObject;
}

/** Sixteen digits in a row are the shortest integer that a number might not hold. */
const LONG_INTEGER = /\d{16}/;
const INTEGER = /^-?\d+$/;

/** Parses JSON; integers beyond 2^53 become bigint. Throws a SyntaxError. */
export function parseJson(text: string): unknown {
  if (!LONG_INTEGER.test(text)) return JSON.parse(text);
  // The third argument is newer than the type declarations: the literal as it was written.
  const revive = (_key: string, value: unknown, context?: { readonly source?: string }): unknown => {
    const source = context?.source;
    if (typeof value !== 'number' || Number.isSafeInteger(value) || source === undefined) return value;
    return INTEGER.test(source) ? BigInt(source) : value;
  };
  return JSON.parse(text, revive);
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The objects of `path` in order; `file` is its name in messages. Empty lines are skipped. Throws `SourceError`. */
export async function* readJsonLines(path: string, file: string): AsyncGenerator<JsonLine> {
  let line = 0;
  for await (const bytes of splitLines(path, file)) {
    line++;
    let text = bytes.toString('utf8');
    if (line === 1 && text.startsWith('\uFEFF')) text = text.slice(1);
    if (text.trim() === '') continue;
    let value: unknown;
    try {
      value = parseJson(text);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new SourceError({ file, line }, `not JSON: ${reason.slice(0, 200)}`, cause);
    }
    if (!isObject(value))
      throw new SourceError({ file, line }, 'not a JSON object; each line is one row, {"column": value, …}');
    yield { line, value };
  }
}

async function* splitLines(path: string, file: string): AsyncGenerator<Buffer> {
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  let line = 1;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    if (!Buffer.isBuffer(chunk)) continue;
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, start)) {
      yield Buffer.concat([...pending, chunk.subarray(start, end)]);
      pending = [];
      pendingBytes = 0;
      start = end + 1;
      line++;
    }
    pending.push(chunk.subarray(start));
    pendingBytes += chunk.length - start;
    if (pendingBytes > LINE_BYTES_MAX) throw new SourceError({ file, line }, 'the line is longer than 16 MiB');
  }
  if (pendingBytes > 0) yield Buffer.concat(pending);
}
