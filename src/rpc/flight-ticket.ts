// What a ticket and the bodies of actions say: JSON with a version and a scope, checked on arrival. A bare table name is a
// ticket as well, for clients that know nothing of us: the whole table, scope "*".
import { Ajv, type ValidateFunction } from 'ajv';
import { timeNs, type TimeNs } from '../model/time.ts';
import { decodeFragment, encodeFragment, PlanFormatError } from '../plan/codec.ts';
import type { FragmentStats, NodeState } from '../plan/node.ts';
import type { BlindInterval, BlindSource, WindowLoss } from '../model/loss.ts';
import type { Operator } from '../plan/plan.ts';
import { RpcError } from './status.ts';

export const FLIGHT_VERSION = 1;

const TICKET_BYTES_MAX = 4 * 2 ** 20;
/** The largest name a table may have. */
const NAME = { type: 'string', minLength: 1, maxLength: 255 };
/** `*`, or a namespace (DNS-1123 label). */
const SCOPE = { type: 'string', pattern: '^(\\*|[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)$' };
const TIME = { type: 'string', pattern: '^-?[0-9]{1,19}$' };
const COUNT = { type: 'number', minimum: 0 };
const TEXT = { type: 'string', maxLength: 16_384 };
const VERSION = { const: FLIGHT_VERSION };

const object = (required: Record<string, object>, optional: Record<string, object> = {}): object => ({
  type: 'object',
  properties: { ...required, ...optional },
  required: Object.keys(required),
  additionalProperties: false,
});
/** What a newer peer adds is no reason to refuse its answer. */
const open = (schema: object): object => ({ ...schema, additionalProperties: true });
const list = (items: object): object => ({ type: 'array', items, maxItems: 10_000 });

type WireTicket =
  | { readonly version: 1; readonly scope: string; readonly fragment: string }
  | { readonly version: 1; readonly scope: string; readonly table: string };

interface WireTables {
  readonly version: 1;
  readonly tables: readonly string[];
}

interface WireState {
  readonly startTime: string;
  readonly oldest?: string;
  readonly blind: readonly BlindSource[];
}

type WireLoss = Omit<WindowLoss, 'blind'> & {
  readonly blind: readonly (Omit<BlindInterval, 'start' | 'end'> & { readonly start: string; readonly end?: string })[];
};

const TABLES = { tables: list(NAME) };
const BLIND = open(object({ source: TEXT, reason: TEXT, message: TEXT }));
const INTERVAL = open(object({ source: TEXT, start: TIME, reason: TEXT }, { end: TIME }));

const SCHEMAS = {
  ticket: {
    anyOf: [
      object({ version: VERSION, scope: SCOPE, fragment: { type: 'string' } }),
      object({ version: VERSION, scope: SCOPE, table: NAME }),
    ],
  },
  watermark: object({ version: VERSION, ...TABLES, time: TIME }),
  loss: object({ version: VERSION, ...TABLES, start: TIME, end: TIME }),
  state: open(object({ startTime: TIME, blind: list(BLIND) }, { oldest: TIME })),
  lossReply: open(
    object({
      eventsDropped: COUNT,
      exchangesLost: COUNT,
      bytesNotUnderstood: COUNT,
      rowsLate: COUNT,
      rowsExpired: COUNT,
      blind: list(INTERVAL),
    }),
  ),
  end: open(object({ end: { const: true }, rowsRead: COUNT, bytesRead: COUNT })),
};

interface Documents {
  readonly ticket: WireTicket;
  readonly watermark: WireTables & { readonly time: string };
  readonly loss: WireTables & { readonly start: string; readonly end: string };
  readonly state: WireState;
  readonly lossReply: WireLoss;
  readonly end: { readonly end: true } & FragmentStats;
}

type Validators = { readonly [K in keyof Documents]: ValidateFunction<Documents[K]> };

let compiled: Validators | undefined;

function validators(): Validators {
  compiled ??= compileAll(new Ajv({ strict: true, strictRequired: false }));
  return compiled;
}

function compileAll(ajv: Ajv): Validators {
  return {
    ticket: ajv.compile<Documents['ticket']>(SCHEMAS.ticket),
    watermark: ajv.compile<Documents['watermark']>(SCHEMAS.watermark),
    loss: ajv.compile<Documents['loss']>(SCHEMAS.loss),
    state: ajv.compile<Documents['state']>(SCHEMAS.state),
    lossReply: ajv.compile<Documents['lossReply']>(SCHEMAS.lossReply),
    end: ajv.compile<Documents['end']>(SCHEMAS.end),
  };
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/** @throws RpcError INVALID_ARGUMENT: bytes from outside that are not what they should be. */
function parsed<K extends keyof Documents>(kind: K, content: Uint8Array): Documents[K] {
  let document: unknown;
  try {
    document = JSON.parse(decoder.decode(content));
  } catch (error) {
    throw new RpcError('INVALID_ARGUMENT', `the ${kind} is no JSON`, error);
  }
  const version: unknown = typeof document === 'object' && document !== null ? Reflect.get(document, 'version') : 1;
  if (typeof version === 'number' && version !== FLIGHT_VERSION)
    throw new RpcError(
      'INVALID_ARGUMENT',
      `the ${kind} has version ${version}, this collector knows ${FLIGHT_VERSION}: bring collector and runtime to one version`,
    );
  const validate: ValidateFunction<Documents[K]> = validators()[kind];
  if (validate(document)) return document;
  const [error] = validate.errors ?? [];
  throw new RpcError(
    'INVALID_ARGUMENT',
    `the ${kind} is wrong at '${error?.instancePath ?? ''}': ${error?.message ?? ''}`,
  );
}

const json = (value: object): Buffer => Buffer.from(JSON.stringify(value));
const timeOf = (text: string): TimeNs => timeNs(BigInt(text));

export type Request =
  | { readonly kind: 'fragment'; readonly scope: string; readonly fragment: Operator }
  | { readonly kind: 'table'; readonly scope: string; readonly table: string };

export const encodeFragmentTicket = (fragment: Operator, scope: string): Buffer =>
  json({ version: FLIGHT_VERSION, scope, fragment: encodeFragment(fragment) });

/** A ticket from anybody. @throws RpcError INVALID_ARGUMENT */
export function decodeTicket(ticket: Uint8Array): Request {
  if (ticket.length > TICKET_BYTES_MAX) throw new RpcError('INVALID_ARGUMENT', 'the ticket is too long');
  if (ticket[0] !== 0x7b) return { kind: 'table', scope: '*', table: plainName(ticket) };
  const wire = parsed('ticket', ticket);
  if ('table' in wire) return { kind: 'table', scope: wire.scope, table: wire.table };
  try {
    return { kind: 'fragment', scope: wire.scope, fragment: decodeFragment(wire.fragment) };
  } catch (error) {
    if (error instanceof PlanFormatError) throw new RpcError('INVALID_ARGUMENT', error.message, error);
    throw error;
  }
}

function plainName(ticket: Uint8Array): string {
  const name = Buffer.from(ticket).toString('latin1');
  if (/^[A-Za-z0-9_.-]{1,255}$/.test(name)) return name;
  throw new RpcError('INVALID_ARGUMENT', 'a ticket is the name of a table, or JSON with version, scope and fragment');
}

export const encodeWatermark = (tables: readonly string[], time: TimeNs): Buffer =>
  json({ version: FLIGHT_VERSION, tables, time: String(time) });

export function decodeWatermark(body: Uint8Array): { readonly tables: readonly string[]; readonly time: TimeNs } {
  const { tables, time } = parsed('watermark', body);
  return { tables, time: timeOf(time) };
}

export const encodeLoss = (tables: readonly string[], start: TimeNs, end: TimeNs): Buffer =>
  json({ version: FLIGHT_VERSION, tables, start: String(start), end: String(end) });

export function decodeLoss(body: Uint8Array): {
  readonly tables: readonly string[];
  readonly start: TimeNs;
  readonly end: TimeNs;
} {
  const { tables, start, end } = parsed('loss', body);
  return { tables, start: timeOf(start), end: timeOf(end) };
}

export const encodeState = ({ startTime, oldest, blind }: NodeState): Buffer =>
  json({ startTime: String(startTime), blind, ...(oldest === undefined ? {} : { oldest: String(oldest) }) });

export function decodeState(body: Uint8Array): NodeState {
  const { startTime, oldest, blind } = parsed('state', body);
  return { startTime: timeOf(startTime), blind, ...(oldest === undefined ? {} : { oldest: timeOf(oldest) }) };
}

export const encodeLossReply = (loss: WindowLoss): Buffer =>
  json({
    ...loss,
    blind: loss.blind.map(({ start, end, ...rest }) => ({
      ...rest,
      start: String(start),
      ...(end === undefined ? {} : { end: String(end) }),
    })),
  });

export function decodeLossReply(body: Uint8Array): WindowLoss {
  const { blind, ...counts } = parsed('lossReply', body);
  return {
    ...counts,
    blind: blind.map(({ start, end, ...rest }) => ({
      ...rest,
      start: timeOf(start),
      ...(end === undefined ? {} : { end: timeOf(end) }),
    })),
  };
}

export const encodeEnd = ({ rowsRead, bytesRead }: FragmentStats): Buffer => json({ end: true, rowsRead, bytesRead });

export function decodeEnd(metadata: Uint8Array): FragmentStats {
  const { rowsRead, bytesRead } = parsed('end', metadata);
  return { rowsRead, bytesRead };
}
