// A node's tables over Arrow Flight: any client may list and read them, and runtimes send their part of a plan as the
// ticket. Who may state which scope is decided here; the filter itself lies below the plan, in the collector.
import { createFlightWriter, flightSchema, type StringForm } from '../columns/arrow-flight.ts';
import type { Schema } from '../model/types.ts';
import { inputsOf } from '../plan/inputs.ts';
import type { Node } from '../plan/node.ts';
import type { Operator, SourceOperator } from '../plan/plan.ts';
import {
  ACTION,
  ACTION_TYPE,
  DESCRIPTOR,
  EMPTY,
  encodeFlightData,
  FLIGHT_INFO,
  RESULT,
  SCHEMA_RESULT,
  TICKET,
  type Descriptor,
} from './flight-messages.ts';
import {
  decodeLoss,
  decodeTicket,
  decodeWatermark,
  encodeEnd,
  encodeLossReply,
  encodeState,
  type Request,
} from './flight-ticket.ts';
import { isRole, type Identity } from './identity.ts';
import type { Codec } from './protobuf.ts';
import { startRpcServer, type CallContext, type Handler, type RpcServer, type RpcServerOptions } from './server.ts';
import { RpcError } from './status.ts';

export const FLIGHT_SERVICE = '/arrow.flight.protocol.FlightService';

export interface FlightTable {
  readonly name: string;
  readonly schema: Schema;
  readonly rows: number;
  readonly bytes: number;
}

export interface FlightBackend {
  readonly node: Node;
  readonly tables: () => readonly FlightTable[];
  /** The stable code of an error that the plan itself is to blame for, whoever runs it; undefined for others. */
  readonly planErrorCode: (error: unknown) => string | undefined;
}

export interface FlightServerOptions extends Pick<RpcServerOptions, 'listen' | 'tls' | 'onRefused' | 'onFault'> {
  /** The namespace whose runtime may state any scope. */
  readonly namespace: string;
  /** Plans at once; more are told RESOURCE_EXHAUSTED. Default 32. */
  readonly queriesMax?: number;
}

/** As long as the longest run. */
const QUERY_MS = 600_000;

const ACTIONS: Readonly<Record<string, string>> = {
  state: 'When counting began, the oldest rows, which sources do not run. No body.',
  watermark: 'Answers once no row before a time will come: {"version":1,"tables":[…],"time":"ns"}.',
  loss: 'What was not seen: {"version":1,"tables":[…],"start":"ns","end":"ns"}.',
};

/**
 * Whether `peer` may read rows of `scope`: the runtime those of any, an identity of a namespace its own.
 * Without TLS everybody may.
 */
export const mayState = (peer: Identity | undefined, scope: string, namespace: string): boolean =>
  peer === undefined || isRole(peer, namespace, 'runtime') || peer.namespace === scope;

/** Starts serving. @throws Error where nothing can listen there. */
export function createFlightServer(backend: FlightBackend, options: FlightServerOptions): Promise<RpcServer> {
  const { node, tables } = backend;
  const { namespace, queriesMax = 32 } = options;
  let queries = 0;

  const tableOf = (name: string): FlightTable => {
    const found = tables().find((table) => table.name === name);
    if (found === undefined) throw new RpcError('NOT_FOUND', `there is no table ${JSON.stringify(name)}`);
    return found;
  };

  const infoOf = async ({ name, schema, rows, bytes }: FlightTable, { peer }: CallContext): Promise<Uint8Array> =>
    FLIGHT_INFO.encode({
      schema: await flightSchema(schema, 'text'),
      flightDescriptor: { type: 'PATH', cmd: new Uint8Array(0), path: [name] },
      endpoint: [{ ticket: { ticket: Buffer.from(name) } }],
      // of all namespaces
      ...(mayState(peer, '*', namespace)
        ? { totalRecords: rows, totalBytes: bytes }
        : { totalRecords: 0, totalBytes: 0 }),
    });

  const schemaOf = (request: Request): { readonly schema: Schema; readonly strings: StringForm } =>
    request.kind === 'table'
      ? { schema: tableOf(request.table).schema, strings: 'text' }
      : { schema: request.fragment.schema, strings: 'bytes' };

  function authorised(request: Request, peer: Identity | undefined): void {
    if (mayState(peer, request.scope, namespace)) return;
    const who = peer?.uri ?? '';
    options.onRefused('Forbidden', who);
    throw new RpcError('PERMISSION_DENIED', `${who} may not read scope ${JSON.stringify(request.scope)}`);
  }

  async function* answer(request: Request, { peer, signal }: CallContext): AsyncGenerator<Uint8Array> {
    authorised(request, peer);
    const { schema, strings } = schemaOf(request);
    const fragment = request.kind === 'fragment' ? request.fragment : wholeTable(request.table, schema);
    for (const { table } of sourcesOf(fragment)) tableOf(table);
    if (queries >= queriesMax)
      throw new RpcError('RESOURCE_EXHAUSTED', `${queriesMax} plans run on this node already; try again`);
    queries++;
    try {
      const writer = await createFlightWriter(schema, strings);
      yield encodeFlightData({ dataHeader: writer.schema.header });
      const within = AbortSignal.any([signal, AbortSignal.timeout(QUERY_MS)]);
      for await (const event of node.query(fragment, { scope: request.scope, signal: within })) {
        if (event.kind === 'end') yield encodeFlightData({ appMetadata: encodeEnd(event.stats) });
        else
          for (const { header, body, bodyLength } of writer.write(event.batch))
            yield encodeFlightData({ dataHeader: header, body, bodyLength });
      }
    } catch (error) {
      throw explained(error, backend);
    } finally {
      queries--;
    }
  }

  async function act(type: string, body: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    switch (type) {
      case 'state':
        return encodeState(await node.state(signal));
      case 'watermark': {
        const { tables: names, time } = decodeWatermark(body);
        names.forEach(tableOf);
        await node.waitForWatermark(names, time, signal);
        return Buffer.from('{}');
      }
      case 'loss': {
        const { tables: names, start, end } = decodeLoss(body);
        names.forEach(tableOf);
        return encodeLossReply(await node.loss(names, start, end, signal));
      }
      default:
        throw new RpcError('UNIMPLEMENTED', `there is no action ${JSON.stringify(type)}`);
    }
  }

  const requestOf = ({ type, cmd, path }: Descriptor): Request => {
    if (type === 'CMD') return decodeTicket(cmd);
    const [table] = path;
    if (table === undefined || path.length > 1) throw new RpcError('NOT_FOUND', 'a path is the name of one table');
    return { kind: 'table', scope: '*', table };
  };

  return startRpcServer({
    ...options,
    // every identity of ours may call; what it may read is decided by scope
    isAllowed: () => true,
    methods: {
      [`${FLIGHT_SERVICE}/ListFlights`]: async function* listFlights(_, call) {
        for (const table of tables()) yield infoOf(table, call);
      },
      [`${FLIGHT_SERVICE}/GetFlightInfo`]: asked(DESCRIPTOR, async function* getFlightInfo(descriptor, call) {
        const request = requestOf(descriptor);
        if (request.kind === 'table') return yield await infoOf(tableOf(request.table), call);
        const { schema, strings } = schemaOf(request);
        return yield FLIGHT_INFO.encode({
          schema: await flightSchema(schema, strings),
          flightDescriptor: descriptor,
          endpoint: [{ ticket: { ticket: descriptor.cmd } }],
          totalRecords: 0,
          totalBytes: 0,
        });
      }),
      [`${FLIGHT_SERVICE}/GetSchema`]: asked(DESCRIPTOR, async function* getSchema(descriptor) {
        const { schema, strings } = schemaOf(requestOf(descriptor));
        yield SCHEMA_RESULT.encode({ schema: await flightSchema(schema, strings) });
      }),
      [`${FLIGHT_SERVICE}/DoGet`]: asked(TICKET, ({ ticket }, call) => answer(decodeTicket(ticket), call)),
      [`${FLIGHT_SERVICE}/DoAction`]: asked(ACTION, async function* doAction({ type, body }, { signal }) {
        yield RESULT.encode({ body: await act(type, body, signal) });
      }),
      [`${FLIGHT_SERVICE}/ListActions`]: asked(EMPTY, async function* listActions() {
        for (const [type, description] of Object.entries(ACTIONS)) yield ACTION_TYPE.encode({ type, description });
      }),
    },
  });
}

/** A method with one request. */
const asked = <T>(codec: Codec<T>, handle: (request: T, call: CallContext) => AsyncIterable<Uint8Array>): Handler =>
  async function* handler(requests, call) {
    for await (const request of requests) return yield* handle(codec.decode(request), call);
    throw new RpcError('INVALID_ARGUMENT', 'there is no request');
  };

const wholeTable = (table: string, schema: Schema): Operator => ({
  kind: 'source',
  table,
  columns: schema.map(({ name }) => name),
  schema,
});

function sourcesOf(root: Operator): SourceOperator[] {
  const seen = new Set<Operator>();
  const rest = [root];
  for (let operator = rest.pop(); operator !== undefined; operator = rest.pop()) {
    if (seen.has(operator)) continue;
    seen.add(operator);
    rest.push(...inputsOf(operator));
  }
  return [...seen].filter((operator) => operator.kind === 'source');
}

/** What the plan is to blame for travels with its code, so that the whole run ends with it and not just this node. */
function explained(error: unknown, { planErrorCode }: FlightBackend): unknown {
  if (error instanceof RpcError || !(error instanceof Error)) return error;
  const code = planErrorCode(error);
  if (code !== undefined) return new RpcError('FAILED_PRECONDITION', `${code}: ${error.message}`, error);
  return error.name === 'ScopeError' ? new RpcError('PERMISSION_DENIED', error.message, error) : error;
}
