// The messages of flight.proto. FlightData is put together from parts, because a body is megabytes that are not to be
// copied more often than gRPC does.
import { bytes, choice, count, list, message, nested, text } from './protobuf.ts';

export const EMPTY = message<object>({});

export interface Descriptor {
  readonly type: 'PATH' | 'CMD';
  readonly cmd: Uint8Array;
  readonly path: readonly string[];
}

export const DESCRIPTOR = message<Descriptor>({
  type: choice(1, ['PATH', 'CMD']),
  cmd: bytes(2),
  path: list(text(3), 16),
});

export interface Ticket {
  readonly ticket: Uint8Array;
}

export const TICKET = message<Ticket>({ ticket: bytes(1) });

export interface FlightInfo {
  readonly schema: Uint8Array;
  readonly flightDescriptor: Descriptor;
  readonly endpoint: readonly { readonly ticket: Ticket }[];
  readonly totalRecords: number;
  readonly totalBytes: number;
}

export const FLIGHT_INFO = message<FlightInfo>({
  schema: bytes(1),
  flightDescriptor: nested(2, DESCRIPTOR),
  endpoint: list(nested(3, message<FlightInfo['endpoint'][number]>({ ticket: nested(1, TICKET) })), 16),
  totalRecords: count(4),
  totalBytes: count(5),
});

export const SCHEMA_RESULT = message<{ readonly schema: Uint8Array }>({ schema: bytes(1) });

export interface Action {
  readonly type: string;
  readonly body: Uint8Array;
}

export const ACTION = message<Action>({ type: text(1), body: bytes(2) });
export const RESULT = message<{ readonly body: Uint8Array }>({ body: bytes(1) });
export const ACTION_TYPE = message<{ readonly type: string; readonly description: string }>({
  type: text(1),
  description: text(2),
});

export interface FlightData {
  readonly dataHeader: Uint8Array;
  readonly appMetadata: Uint8Array;
  readonly dataBody: Uint8Array;
}

const FLIGHT_DATA = message<FlightData>({ dataHeader: bytes(2), appMetadata: bytes(3), dataBody: bytes(1000) });

/** The fields are views into `content`. @throws WireError */
export const decodeFlightData = (content: Uint8Array): FlightData => FLIGHT_DATA.decode(content);

const BODY_TAG = Buffer.from([0xc2, 0x3e]);

/** One FlightData. Empty parts are left out. */
export function encodeFlightData(parts: {
  readonly dataHeader?: Uint8Array;
  readonly appMetadata?: Uint8Array;
  readonly body?: readonly Uint8Array[];
  readonly bodyLength?: number;
}): Buffer {
  const { bodyLength = 0 } = parts;
  const head = FLIGHT_DATA.encode({
    dataHeader: parts.dataHeader ?? new Uint8Array(0),
    appMetadata: parts.appMetadata ?? new Uint8Array(0),
    dataBody: new Uint8Array(0),
  });
  if (bodyLength === 0) return head;
  return Buffer.concat([head, BODY_TAG, varintOf(bodyLength), ...(parts.body ?? [])]);
}

function varintOf(value: number): Buffer {
  const out: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) out.push((rest % 0x80) | 0x80);
  return Buffer.from([...out, rest]);
}
