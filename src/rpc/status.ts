// Errors of calls in both directions: what a handler may answer with, and what a caller gets to see.
import { status, type StatusObject } from '@grpc/grpc-js';
import { WireError } from './protobuf.ts';

export type RpcCode = Exclude<keyof typeof status, 'OK'>;

/** A call that did not succeed. `code` is the gRPC status by name; the message is for people and names the peer. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  readonly code: RpcCode;

  constructor(code: RpcCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

const MESSAGE_LENGTH_MAX = 1024;

const isCode = (name: string | undefined): name is RpcCode => name !== undefined && name in status && name !== 'OK';

const codeOf = (value: number): RpcCode => {
  const name: string | undefined = status[value];
  return isCode(name) ? name : 'UNKNOWN';
};

/** What a caller is told: codes of ours, bad messages as INVALID_ARGUMENT, everything else as INTERNAL. */
export function statusOf(error: unknown): Pick<StatusObject, 'code' | 'details'> {
  const text = error instanceof Error ? error.message : String(error);
  const details = text.slice(0, MESSAGE_LENGTH_MAX);
  if (error instanceof RpcError) return { code: status[error.code], details };
  if (error instanceof WireError) return { code: status.INVALID_ARGUMENT, details: `bad message: ${details}` };
  return { code: status.INTERNAL, details };
}

/** A failed call (grpc-js's ServiceError) as the caller's error; `peer` says whom it was about. */
export function rpcErrorOf(error: unknown, peer: string): RpcError {
  const text = error instanceof Error ? error.message : String(error);
  if (!(error instanceof Error) || !('code' in error) || !('details' in error))
    return new RpcError('UNKNOWN', `${peer}: ${text}`, error);
  return new RpcError(codeOf(Number(error.code)), `${peer}: ${String(error.details)}`, error);
}
