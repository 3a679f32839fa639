// Bodies of answers: read up to a bound, and errors made of whatever came, be it a metav1.Status, a proxy's HTML or nothing.
import type { IncomingHttpHeaders } from 'node:http';
import { ApiError } from './types.ts';

/** @throws once the body is longer than `bytesMax`. */
export async function readBody(
  body: AsyncIterable<Uint8Array> & { destroy(error?: Error): unknown },
  bytesMax: number,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > bytesMax) throw new Error(`the API server's answer is longer than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

const MESSAGE_BYTES_MAX = 512;
/** A Status is at most some KB; more than that is not looked at. */
const STATUS_BYTES_MAX = 1_048_576;

/** Never throws: what is no Status gives an ApiError with an empty reason and the beginning of the text. */
export function errorOf(status: number, headers: IncomingHttpHeaders, body: Uint8Array): ApiError {
  const parsed = statusOf(body);
  const fromHeader = retryAfterMs(headers['retry-after']);
  if (parsed !== undefined) {
    const seconds = parsed.retryAfterSeconds;
    return new ApiError(
      status,
      parsed.reason,
      cut(parsed.message === '' ? `HTTP ${status} ${parsed.reason}` : parsed.message),
      fromHeader ?? (seconds === undefined ? undefined : seconds * 1000),
    );
  }
  const text = new TextDecoder().decode(body.subarray(0, 2048)).replaceAll(/<[^>]*>/g, ' ');
  const plain = text.replaceAll(/[\s\p{Cc}\p{Cf}]+/gu, ' ').trim();
  return new ApiError(
    status,
    '',
    cut(plain === '' ? `HTTP ${status} without a body` : `HTTP ${status}: ${plain}`),
    fromHeader,
  );
}

export interface StatusFields {
  readonly code: number | undefined;
  readonly reason: string;
  readonly message: string;
  readonly retryAfterSeconds: number | undefined;
}

function statusOf(body: Uint8Array): StatusFields | undefined {
  if (body.length === 0 || body.length > STATUS_BYTES_MAX) return undefined;
  try {
    return statusFields(JSON.parse(new TextDecoder().decode(body)));
  } catch {
    return undefined;
  }
}

/** Undefined where `value` is no metav1.Status. */
export function statusFields(value: unknown): StatusFields | undefined {
  if (field(value, 'kind') !== 'Status') return undefined;
  const [code, reason, message] = [field(value, 'code'), field(value, 'reason'), field(value, 'message')];
  const seconds = field(field(value, 'details'), 'retryAfterSeconds');
  return {
    code: typeof code === 'number' && Number.isInteger(code) ? code : undefined,
    reason: typeof reason === 'string' ? reason : '',
    message: typeof message === 'string' ? message : '',
    retryAfterSeconds: typeof seconds === 'number' && seconds > 0 ? seconds : undefined,
  };
}

const field = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;

/** RFC 9110 10.2.3 has seconds or a date; API servers send seconds. */
function retryAfterMs(header: string | string[] | undefined): number | undefined {
  const text = Array.isArray(header) ? header[0] : header;
  return text !== undefined && /^\d{1,6}$/.test(text.trim()) ? Number(text) * 1000 : undefined;
}

/** At most 512 bytes of UTF-8, whole characters. */
export function cut(text: string): string {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= MESSAGE_BYTES_MAX) return text;
  let end = MESSAGE_BYTES_MAX - 3;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return `${new TextDecoder().decode(bytes.subarray(0, end))}…`;
}
