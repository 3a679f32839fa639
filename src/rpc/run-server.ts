// The Run contract as a gRPC server: what the operator asks of a runtime. Messages in run-messages.ts, run.proto says what
// they mean.
import type { RunRequest } from '../model/run.ts';
import { isRole, type Identity } from './identity.ts';
import type { Codec } from './protobuf.ts';
import type { RunBackend } from './run-contract.ts';
import {
  COMPILE_REPLY,
  COMPILE_REQUEST,
  compileFromWire,
  DELIVERIES_MESSAGE,
  DELIVERIES_PAGE,
  EMPTY,
  HELLO_REPLY,
  HELLO_REQUEST,
  LEDGER_REPLY,
  LEDGER_REQUEST,
  PUT_DESTINATION_REQUEST,
  REMOVE_DESTINATION_REQUEST,
  resultToWire,
  RUN_MESSAGE,
  RUN_REPLY,
  SKIP_REQUEST,
  STATE_REPLY,
} from './run-messages.ts';
import { startRpcServer, type CallContext, type Handler, type RpcServer, type RpcServerOptions } from './server.ts';
import { RpcError } from './status.ts';

/** The version is part of the name: who speaks another one is told UNIMPLEMENTED. */
export const RUN_SERVICE = '/sluice.run.v1.Run';

export interface RunServerOptions extends Pick<RpcServerOptions, 'listen' | 'tls' | 'onRefused' | 'onFault'> {
  /** Of the program. */
  readonly version: string;
  /** Who may call; by default the operator of our own certificate's namespace. */
  readonly isAllowed: (identity: Identity) => boolean;
}

/** Only `sluice-operator` of that namespace. */
export const onlyOperatorOf =
  (namespace: string) =>
  (identity: Identity): boolean =>
    isRole(identity, namespace, 'operator');

/** Scripts of a MiB, destinations with certificates, ten thousand uids. */
const REQUEST_BYTES_MAX = 4 * 2 ** 20;

/** One request, one reply. */
const unary = <Request, Reply>(
  request: Codec<Request>,
  reply: Codec<Reply>,
  handle: (request: Request, call: CallContext) => Promise<Reply>,
): Handler =>
  async function* answer(requests, call) {
    yield reply.encode(await handle(request.decode(await first(requests)), call));
  };

async function first(requests: AsyncIterable<Buffer>): Promise<Buffer> {
  for await (const request of requests) return request;
  throw new RpcError('INVALID_ARGUMENT', 'there is no request');
}

/** Starts serving `backend`. @throws Error where nothing can listen there. */
export const createRunServer = (backend: RunBackend, options: RunServerOptions): Promise<RpcServer> =>
  startRpcServer({
    ...options,
    requestBytesMax: REQUEST_BYTES_MAX,
    methods: {
      [`${RUN_SERVICE}/Hello`]: unary(HELLO_REQUEST, HELLO_REPLY, async ({ epoch }) => ({
        ...(await backend.hello(epoch)),
        version: options.version,
      })),
      [`${RUN_SERVICE}/Compile`]: unary(COMPILE_REQUEST, COMPILE_REPLY, (wire) =>
        backend.compile(compileFromWire(wire)),
      ),
      [`${RUN_SERVICE}/PutDestination`]: unary(PUT_DESTINATION_REQUEST, EMPTY, async (request) => {
        present('pluginUid', request.pluginUid);
        await backend.putDestination(request.pluginUid, request.revision, request.destination);
        return {};
      }),
      [`${RUN_SERVICE}/RemoveDestination`]: unary(REMOVE_DESTINATION_REQUEST, EMPTY, async (request) => {
        present('pluginUid', request.pluginUid);
        await backend.removeDestination(request.pluginUid, request.graceMs);
        return {};
      }),
      [`${RUN_SERVICE}/Ledger`]: unary(LEDGER_REQUEST, LEDGER_REPLY, async ({ uids }) => {
        const scripts = [...(await backend.ledger(uids))].map(([uid, committed]) => ({ uid, committed }));
        return { scripts };
      }),
      [`${RUN_SERVICE}/Run`]: runHandler(backend),
      [`${RUN_SERVICE}/Skip`]: unary(SKIP_REQUEST, RUN_REPLY, async (request) => {
        present('uid', request.uid);
        inOrder(request);
        return resultToWire(await backend.skip(request));
      }),
      [`${RUN_SERVICE}/Deliveries`]: deliveriesHandler(backend),
      [`${RUN_SERVICE}/State`]: unary(EMPTY, STATE_REPLY, (_, { signal }) => backend.status(signal)),
    },
  });

function present(field: string, value: string): void {
  if (value === '') throw new RpcError('INVALID_ARGUMENT', `${field} is missing`);
}

function inOrder({ start, end }: Pick<RunRequest, 'start' | 'end'>): void {
  if (start >= end) throw new RpcError('INVALID_ARGUMENT', 'start is not before end');
}

function checkRun(request: RunRequest): void {
  present('uid', request.uid);
  present('scope', request.scope);
  present('pluginUid', request.pluginUid);
  inOrder(request);
  if (request.limits.timeoutMs === 0) throw new RpcError('INVALID_ARGUMENT', 'limits.timeoutMs is 0');
}

const runHandler = (backend: RunBackend): Handler =>
  async function* run(requests) {
    const messages = requests[Symbol.asyncIterator]();
    const opening = await messages.next();
    const request = opening.done === true ? undefined : RUN_MESSAGE.decode(opening.value).request;
    if (request === undefined) throw new RpcError('INVALID_ARGUMENT', 'request is missing');
    checkRun(request);
    const cancel = new AbortController();
    void heedCancel(messages, cancel);
    yield RUN_REPLY.encode(resultToWire(await backend.run(request, cancel.signal)));
  };

/** Only a caller that says so cancels: one whose connection broke may have a run that is about to commit. */
async function heedCancel(messages: AsyncIterator<Buffer>, cancel: AbortController): Promise<void> {
  try {
    for (;;) {
      const next = await messages.next();
      if (next.done === true) return;
      if (RUN_MESSAGE.decode(next.value).cancel)
        cancel.abort(new RpcError('CANCELLED', 'the operator cancelled the run'));
    }
  } catch {
    // broken off, or nonsense after the request: no word of cancelling
  }
}

const deliveriesHandler = (backend: RunBackend): Handler =>
  async function* deliveries(requests, { signal }) {
    const messages = requests[Symbol.asyncIterator]();
    const opening = await messages.next();
    const { epoch } = opening.done === true ? {} : DELIVERIES_MESSAGE.decode(opening.value);
    if (epoch === undefined) throw new RpcError('INVALID_ARGUMENT', 'epoch is missing');
    const { incarnation } = backend;
    yield DELIVERIES_PAGE.encode({ incarnation, deliveries: [] });
    for await (const page of backend.deliveryPages(epoch, signal)) {
      yield DELIVERIES_PAGE.encode({ incarnation, deliveries: page });
      // leaving here leaves the page untaken
      const answer = await messages.next();
      if (answer.done === true || !DELIVERIES_MESSAGE.decode(answer.value).taken) return;
    }
  };
