// What a gRPC status or an Export response says about a request. OTLP specification, "OTLP/gRPC Response".
import { status, type Metadata, type StatusObject } from '@grpc/grpc-js';
import type { SendOutcome } from '../sender.ts';
import { messageType, RESPONSE } from './schema.ts';

const RPC_STATUS = messageType('RpcStatus');
const RETRY_INFO = messageType('RetryInfo');

const RETRYABLE: ReadonlySet<status> = new Set([
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.ABORTED,
  status.OUT_OF_RANGE,
  status.UNAVAILABLE,
  status.DATA_LOSS,
]);

/** Texts by which servers say that the size is the reason, and not a quota. */
const SPEAKS_OF_SIZE = /larger than|too large|too big|exceeds (?:the )?(?:maximum|max|limit)|HTTP status code 413/i;

/** The delay that a server asks for, from google.rpc.RetryInfo in its status details; undefined where it asks for none. */
export function retryDelayMs(metadata: Metadata): number | undefined {
  for (const value of metadata.get('grpc-status-details-bin')) {
    if (typeof value === 'string') continue;
    try {
      for (const detail of listOf(RPC_STATUS.toObject(RPC_STATUS.decode(value))['details'])) {
        if (!String(detail['typeUrl']).endsWith('/google.rpc.RetryInfo')) continue;
        const { retryDelay } = RETRY_INFO.toObject(RETRY_INFO.decode(bytesOf(detail['value'])), { longs: Number });
        const { seconds = 0, nanos = 0 }: { seconds?: number; nanos?: number } = retryDelay ?? {};
        return Math.max(0, seconds * 1000 + nanos / 1e6);
      }
    } catch {
      // Details that cannot be read say nothing; the status code still does.
    }
  }
  return undefined;
}

const listOf = (value: unknown): Record<string, unknown>[] => (Array.isArray(value) ? value : []);
const bytesOf = (value: unknown): Uint8Array => (value instanceof Uint8Array ? value : new Uint8Array(0));

/** `clean` masks secrets and cuts. */
export function classifyStatus(failure: StatusObject, clean: (text: string) => string): SendOutcome {
  const { code } = failure;
  const name = status[code] ?? `STATUS_${code}`;
  const message = clean(failure.details === '' ? name : failure.details);
  const afterMs = retryDelayMs(failure.metadata);
  const retry: SendOutcome = { status: 'retry', code: name, message, ...(afterMs === undefined ? {} : { afterMs }) };
  if (code === status.RESOURCE_EXHAUSTED) {
    if (afterMs !== undefined) return retry;
    return { status: 'split', code: SPEAKS_OF_SIZE.test(failure.details) ? 'TOO_LARGE' : name, message };
  }
  if (failure.details.includes('HTTP status code 413')) return { status: 'split', code: 'TOO_LARGE', message };
  return RETRYABLE.has(code) ? retry : { status: 'refused', code: name, message };
}

/** What a proxy says when it lost sight of a request that it may have passed on. */
const PROXY_LOST_IT = /HTTP status code 50[24]/;

/**
 * Whether the failure of a request that went out leaves open if it was taken: no word from the other side (its answers have headers
 * or trailers), or one that says no more than that time ran out. A stream that is refused was never looked at (RFC 9113, 8.7).
 */
export function isUnanswered({ code, details, metadata }: StatusObject, hasHeaders: boolean): boolean {
  if (code === status.DEADLINE_EXCEEDED || code === status.CANCELLED || PROXY_LOST_IT.test(details)) return true;
  const isAnswer = hasHeaders || Object.keys(metadata.getMap()).length > 0;
  return !isAnswer && details !== 'Stream refused by server';
}

/** A populated partial success is final for the items it rejects; with none rejected its text is a warning. */
export function classifyResponse(response: Uint8Array, items: number, clean: (text: string) => string): SendOutcome {
  let partial: { rejected?: number; errorMessage?: string };
  try {
    partial = RESPONSE.toObject(RESPONSE.decode(response), { longs: Number })['partialSuccess'] ?? {};
  } catch {
    return { status: 'sent', rejected: 0, message: 'accepted, but the response is not an OTLP response' };
  }
  const rejected = Math.min(items, Math.max(0, partial.rejected ?? 0));
  const { errorMessage = '' } = partial;
  if (rejected === 0 && errorMessage === '') return { status: 'sent', rejected };
  return {
    status: 'sent',
    rejected,
    message: clean(errorMessage === '' ? `${rejected} items rejected` : errorMessage),
  };
}
