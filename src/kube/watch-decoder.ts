// The body of a watch: one JSON object a line, in chunks that end anywhere. Lines are cut on bytes, so a character that lies in
// two chunks stays whole. No error says anything of a line's content: it may be a Secret.
import { statusFields, cut } from './transport-body.ts';
import { ApiError, type KubeObject, type WatchEvent } from './types.ts';

/** etcd refuses objects over 1.5 MiB; escapes can make them longer in JSON. */
export const LINE_BYTES_MAX = 8 * 1_048_576;

const NEWLINE = 0x0a;

/** The non-empty lines of `chunks`. A last line without its newline is no line: the server sends them whole. */
export async function* lines(chunks: AsyncIterable<Uint8Array>, bytesMax = LINE_BYTES_MAX): AsyncGenerator<string> {
  let rest: Uint8Array[] = [];
  let restBytes = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      const length = restBytes + end - start;
      if (length > bytesMax) throw tooLong(bytesMax);
      const tail = chunk.subarray(start, end);
      const line = rest.length === 0 ? text(tail) : Buffer.concat([...rest, tail], length).toString('utf8');
      if (rest.length > 0) {
        rest = [];
        restBytes = 0;
      }
      start = end + 1;
      if (line.trim() !== '') yield line;
    }
    if (start === chunk.length) continue;
    restBytes += chunk.length - start;
    if (restBytes > bytesMax) throw tooLong(bytesMax);
    rest.push(chunk.subarray(start));
  }
  if (restBytes > 0 && text(Buffer.concat(rest, restBytes)).trim() !== '') {
    throw new Error(`the watch was cut off in the middle of an event, after ${restBytes} bytes of it`);
  }
}

const text = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');

const tooLong = (bytesMax: number): Error => new Error(`an event of the watch is longer than ${bytesMax} bytes`);

/** @throws ApiError for an ERROR event (410 where the version is too old), Error for what is no event. */
export function decodeEvent<T extends KubeObject>(line: string): WatchEvent<T> {
  const event = parse(line);
  const { type, object } = event;
  if (type === 'ERROR') {
    const status = statusFields(object);
    const code = status?.code ?? (status?.reason === 'Expired' || status?.reason === 'Gone' ? 410 : 500);
    const seconds = status?.retryAfterSeconds;
    throw new ApiError(
      code,
      status?.reason ?? '',
      cut(status?.message ?? 'the watch ended with an error that is no Status'),
      seconds === undefined ? undefined : seconds * 1000,
    );
  }
  if (!isObject(object)) throw new Error('an event of the watch has no object');
  if (type === 'BOOKMARK') {
    const version: unknown = object.metadata.resourceVersion;
    if (typeof version !== 'string') throw new Error('a bookmark without a resourceVersion');
    return { type, resourceVersion: version };
  }
  if (type !== 'ADDED' && type !== 'MODIFIED' && type !== 'DELETED') {
    throw new Error('an event of the watch is of no known type');
  }
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- the caller names the shape of its kind
  return { type, object: object as T };
}

function parse(line: string): { readonly type: unknown; readonly object: unknown } {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new Error(`an event of the watch is no JSON (${line.length} characters)`);
  }
  if (typeof value !== 'object' || value === null) throw new Error('an event of the watch is no object');
  return { type: Reflect.get(value, 'type'), object: Reflect.get(value, 'object') };
}

function isObject(value: unknown): value is KubeObject {
  if (typeof value !== 'object' || value === null) return false;
  const metadata: unknown = Reflect.get(value, 'metadata');
  return typeof metadata === 'object' && metadata !== null;
}
