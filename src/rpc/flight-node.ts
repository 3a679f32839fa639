// A collector somewhere else, as a node that plans can be asked of. Half an answer is none: rows count only when the
// message that ends them has come, and every message was what it should be.
import { readFlight, type ReceivedMessage } from '../columns/arrow-flight-read.ts';
import type { TimeNs } from '../model/time.ts';
import type { FragmentEvent, FragmentStats, Node } from '../plan/node.ts';
import type { Operator } from '../plan/plan.ts';
import { openChannel, type Channel, type ChannelOptions } from './channel.ts';
import { ACTION, decodeFlightData, FLIGHT_INFO, RESULT, TICKET } from './flight-messages.ts';
import { FLIGHT_SERVICE } from './flight-server.ts';
import {
  decodeEnd,
  decodeLossReply,
  decodeState,
  encodeFragmentTicket,
  encodeLoss,
  encodeWatermark,
} from './flight-ticket.ts';
import { WireError } from './protobuf.ts';
import { RpcError } from './status.ts';

/** The plan cannot be executed, on this node or any other; `code` is the engine's. */
export class PlanError extends Error {
  override readonly name = 'PlanError';
  readonly code: string;

  constructor(code: string, message: string, cause: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

export interface RemoteNodeOptions extends Pick<ChannelOptions, 'address' | 'tls' | 'isServer' | 'nowMs'> {
  readonly name: string;
}

export interface RemoteNode extends Node {
  /** Its tables and how many rows each has now, of all namespaces; 0 for whom that is not told. */
  tables(signal: AbortSignal): Promise<ReadonlyMap<string, number>>;
  close(): void;
}

/** A state or a loss is in memory over there. */
const SHORT_MS = 5000;
/** Batches are cut below 4 MiB; a single cell may be larger. */
const REPLY_BYTES_MAX = 64 * 2 ** 20;

export function openRemoteNode(options: RemoteNodeOptions): RemoteNode {
  const { name } = options;
  const peer = `node ${name} (${options.address})`;
  const channel = openChannel({ ...options, peer, replyBytesMax: REPLY_BYTES_MAX });

  /** An action with one result. */
  async function act<T>(
    type: string,
    body: Uint8Array,
    read: (body: Uint8Array) => T,
    given: { readonly signal: AbortSignal; readonly timeoutMs?: number },
  ): Promise<T> {
    const stream = channel.stream(`${FLIGHT_SERVICE}/DoAction`, given);
    stream.send(ACTION.encode({ type, body }));
    stream.end();
    let result: { readonly value: T } | undefined;
    for await (const reply of stream.replies)
      result ??= { value: understood(peer, () => read(RESULT.decode(reply).body)) };
    if (result === undefined) throw new RpcError('INTERNAL', `${peer}: ${type} was answered with nothing`);
    return result.value;
  }

  /** Why the last call failed while there was no connection; undefined since one has succeeded. */
  let down: Error | undefined;
  /**
   * Calls on a node that is known to be away fail at once, so that not every run waits for it; the connection is tried in
   * the background all the time.
   */
  async function guarded<T>(call: () => Promise<T>): Promise<T> {
    if (down !== undefined && !isConnected(channel))
      throw new RpcError('UNAVAILABLE', `${peer} is away: ${down.message}`, down);
    try {
      const value = await call();
      down = undefined;
      return value;
    } catch (error) {
      if (error instanceof Error && !isConnected(channel)) down ??= error;
      throw error;
    }
  }

  return {
    name,
    state: (signal) => guarded(() => act('state', new Uint8Array(0), decodeState, { signal, timeoutMs: SHORT_MS })),
    waitForWatermark: (tables, time, signal) =>
      act('watermark', encodeWatermark(tables, time), () => undefined, { signal }),
    loss: (tables: readonly string[], start: TimeNs, end: TimeNs, signal: AbortSignal) =>
      act('loss', encodeLoss(tables, start, end), decodeLossReply, { signal, timeoutMs: SHORT_MS }),
    async tables(signal) {
      const stream = channel.stream(`${FLIGHT_SERVICE}/ListFlights`, { signal, timeoutMs: SHORT_MS });
      stream.send(new Uint8Array(0));
      stream.end();
      const rows = new Map<string, number>();
      for await (const reply of stream.replies) {
        const { flightDescriptor, totalRecords } = understood(peer, () => FLIGHT_INFO.decode(reply));
        const [table] = flightDescriptor.path;
        if (table !== undefined) rows.set(table, totalRecords);
      }
      return rows;
    },
    query: (fragment, { scope, signal }) => queryOver(channel, peer, fragment, scope, signal),
    close: () => channel.close(),
  };
}

function isConnected(channel: Channel): boolean {
  try {
    return channel.isConnected();
  } catch {
    return false;
  }
}

function understood<T>(peer: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof WireError) && !(error instanceof RpcError)) throw error;
    throw new RpcError('INTERNAL', `${peer}: a bad answer: ${error.message}`, error);
  }
}

async function* queryOver(
  channel: Channel,
  peer: string,
  fragment: Operator,
  scope: string,
  signal: AbortSignal,
): AsyncGenerator<FragmentEvent> {
  const own = new AbortController();
  const stream = channel.stream(`${FLIGHT_SERVICE}/DoGet`, { signal: AbortSignal.any([signal, own.signal]) });
  stream.send(TICKET.encode({ ticket: encodeFragmentTicket(fragment, scope) }));
  stream.end();
  let stats: FragmentStats | undefined;
  async function* messages(): AsyncGenerator<ReceivedMessage> {
    for await (const reply of stream.replies) {
      const { dataHeader, appMetadata, dataBody } = understood(peer, () => decodeFlightData(reply));
      if (stats !== undefined) throw new RpcError('INTERNAL', `${peer}: there is more behind the end`);
      if (dataHeader.length > 0) yield { header: dataHeader, body: dataBody };
      else stats = understood(peer, () => decodeEnd(appMetadata));
    }
  }
  try {
    for await (const batch of readFlight(messages(), fragment.schema)) yield { kind: 'batch', batch };
    if (stats === undefined) throw new RpcError('INTERNAL', `${peer}: the answer broke off`);
    yield { kind: 'end', stats };
  } catch (error) {
    throw planErrorOf(error) ?? error;
  } finally {
    // whoever leaves early must not leave an engine running
    own.abort(new RpcError('CANCELLED', `${peer}: the answer is not wanted any more`));
  }
}

/** `CODE: message` behind the peer's name. */
function planErrorOf(error: unknown): PlanError | undefined {
  if (!(error instanceof RpcError) || error.code !== 'FAILED_PRECONDITION') return undefined;
  const [, code, message] = /: ([A-Z][A-Z0-9_]+): ([^]*)$/.exec(error.message) ?? [];
  return code === undefined || message === undefined ? undefined : new PlanError(code, message, error);
}
