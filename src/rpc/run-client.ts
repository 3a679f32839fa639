// A runtime over gRPC, as the contract that the dispatcher knows. One connection carries every call; what a broken one
// leaves unknown is for the ledger to answer.
import type { Destination } from '../model/destination.ts';
import type { Delivery } from '../model/outcome.ts';
import type {
  CommittedInterval,
  CompileRequest,
  CompileResult,
  RunContract,
  RunRequest,
  RunResult,
  SkipRequest,
} from '../model/run.ts';
import type { TimeNs } from '../model/time.ts';
import { openChannel, type Channel, type ChannelOptions } from './channel.ts';
import type { Codec } from './protobuf.ts';
import { WireError } from './protobuf.ts';
import type { RuntimeStatus } from './run-contract.ts';
import {
  COMPILE_REPLY,
  COMPILE_REQUEST,
  compileToWire,
  DELIVERIES_MESSAGE,
  DELIVERIES_PAGE,
  EMPTY,
  HELLO_REPLY,
  HELLO_REQUEST,
  LEDGER_REPLY,
  LEDGER_REQUEST,
  PUT_DESTINATION_REQUEST,
  REMOVE_DESTINATION_REQUEST,
  resultFromWire,
  RUN_MESSAGE,
  RUN_REPLY,
  SKIP_REQUEST,
  STATE_REPLY,
} from './run-messages.ts';
import { RUN_SERVICE } from './run-server.ts';
import { RpcError } from './status.ts';

export interface RunClientOptions extends Omit<ChannelOptions, 'replyBytesMax'> {
  /** Of the program, for the runtime's log. */
  readonly version: string;
  /** Called when the stream of deliveries (re)connects: the ledger is to be read before anything is planned. */
  readonly onConnected?: (incarnation: string) => void;
  /** The stream of deliveries broke and is opened again after a pause. */
  readonly onDisconnected?: (error: Error) => void;
  /** In [0, 1); spreads reconnecting operators and replicas. */
  readonly random?: () => number;
}

/** As in the contract; `signal` ends the call, which rejects with its reason. What was asked for may be done all the same. */
export interface RunClient extends RunContract {
  hello(epoch: number, signal?: AbortSignal): ReturnType<RunContract['hello']>;
  compile(request: CompileRequest, signal?: AbortSignal): Promise<CompileResult>;
  putDestination(pluginUid: string, revision: string, destination: Destination, signal?: AbortSignal): Promise<void>;
  removeDestination(pluginUid: string, graceMs: number, signal?: AbortSignal): Promise<void>;
  ledger(uids: readonly string[], signal?: AbortSignal): ReturnType<RunContract['ledger']>;
  skip(request: SkipRequest, signal?: AbortSignal): Promise<RunResult>;
  /** How its destinations and nodes are. */
  status(signal: AbortSignal): Promise<RuntimeStatus>;
  /** No table of any node holds rows before this; undefined where a node does not say. Asks the nodes. */
  oldestData(signal: AbortSignal): Promise<TimeNs | undefined>;
  /** Ends the connection and every call on it, which fails with CANCELLED. Runs under way go on over there. */
  close(): void;
}

const SHORT_MS = 10_000;
/** Compiling has a bound of its own there. */
const COMPILE_MS = 60_000;
const LEDGER_MS = 30_000;
/** For the way, a run of the same script that is ahead, and the commit. */
const RUN_MARGIN_MS = 15_000;
const UIDS_PER_REQUEST = 1000;
/** Ledgers of a thousand scripts. */
const REPLY_BYTES_MAX = 32 * 2 ** 20;
const RETRY_MS_MIN = 200;
const RETRY_MS_MAX = 5000;

const deliveryKey = ({ uid, start, end, batch }: Delivery): string => `${uid}/${start}/${end}/${batch}`;

export function openRunClient(options: RunClientOptions): RunClient {
  const { peer } = options;
  const random = options.random ?? Math.random;
  const channel = openChannel({ ...options, replyBytesMax: REPLY_BYTES_MAX });
  const closed = new AbortController();
  const call = async <Request, Reply>(
    method: string,
    [request, reply]: readonly [Codec<Request>, Codec<Reply>],
    content: Request,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Reply> => {
    const given = signal === undefined ? { timeoutMs } : { timeoutMs, signal };
    try {
      return reply.decode(await channel.unary(`${RUN_SERVICE}/${method}`, request.encode(content), given));
    } catch (error) {
      throw explained(error, peer);
    }
  };

  async function ledger(
    uids: readonly string[],
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<string, readonly CommittedInterval[]>> {
    const known = new Map<string, readonly CommittedInterval[]>();
    for (let from = 0; from < uids.length; from += UIDS_PER_REQUEST) {
      const part = { uids: uids.slice(from, from + UIDS_PER_REQUEST) };
      const { scripts } = await call('Ledger', [LEDGER_REQUEST, LEDGER_REPLY], part, LEDGER_MS, signal);
      for (const { uid, committed } of scripts) known.set(uid, committed);
    }
    return known;
  }

  const status = (signal: AbortSignal): Promise<RuntimeStatus> =>
    call('State', [EMPTY, STATE_REPLY], {}, SHORT_MS, signal);

  return {
    async hello(epoch, signal) {
      const request = { epoch, version: options.version };
      const reply = await call('Hello', [HELLO_REQUEST, HELLO_REPLY], request, SHORT_MS, signal);
      return { incarnation: reply.incarnation, highestEpoch: reply.highestEpoch };
    },
    compile: (request, signal) =>
      call('Compile', [COMPILE_REQUEST, COMPILE_REPLY], compileToWire(request), COMPILE_MS, signal),
    async putDestination(pluginUid, revision, destination, signal) {
      const request = { pluginUid, revision, destination };
      await call('PutDestination', [PUT_DESTINATION_REQUEST, EMPTY], request, SHORT_MS, signal);
    },
    async removeDestination(pluginUid, graceMs, signal) {
      const request = { pluginUid, graceMs };
      await call('RemoveDestination', [REMOVE_DESTINATION_REQUEST, EMPTY], request, graceMs + RUN_MARGIN_MS, signal);
    },
    ledger,
    async run(request, signal) {
      try {
        return await runOver(channel, request, signal, peer);
      } catch (error) {
        throw explained(error, peer);
      }
    },
    skip: async (request, signal) =>
      resultFromWire(await call('Skip', [SKIP_REQUEST, RUN_REPLY], request, LEDGER_MS, signal)),
    deliveries: (epoch, signal) =>
      followDeliveries(channel, options, random, epoch, AbortSignal.any([signal, closed.signal])),
    status,
    async oldestData(signal) {
      const { nodes } = await status(signal);
      const oldest = nodes.flatMap((node) => node.oldest ?? []);
      // a node that says nothing of it may have every row
      if (nodes.length === 0 || oldest.length < nodes.length) return undefined;
      return oldest.reduce((a, b) => (a < b ? a : b));
    },
    close() {
      closed.abort();
      channel.close();
    },
  };
}

/** Who speaks another version of the contract does not know the method. */
function explained(error: unknown, peer: string): unknown {
  if (error instanceof WireError) return new RpcError('INTERNAL', `${peer}: a bad answer: ${error.message}`, error);
  if (!(error instanceof RpcError) || error.code !== 'UNIMPLEMENTED') return error;
  const message = `${peer} does not speak version 1 of the run contract: bring operator and runtime to one version`;
  return new RpcError('UNIMPLEMENTED', message, error);
}

async function runOver(channel: Channel, request: RunRequest, signal: AbortSignal, peer: string): Promise<RunResult> {
  signal.throwIfAborted();
  const { timeoutMs, watermarkWaitMs } = request.limits;
  const stream = channel.stream(`${RUN_SERVICE}/Run`, { timeoutMs: timeoutMs + watermarkWaitMs + RUN_MARGIN_MS });
  stream.send(RUN_MESSAGE.encode({ request, cancel: false }));
  // The answer is waited for all the same: it says whether the word came before the commit.
  const cancel = (): void => stream.send(RUN_MESSAGE.encode({ cancel: true }));
  signal.addEventListener('abort', cancel, { once: true });
  let result: RunResult | undefined;
  try {
    // to its end: a stream that is left is reset, and an HTTP/2 server ends connections with more than some 30 resets a second
    for await (const reply of stream.replies) result ??= resultFromWire(RUN_REPLY.decode(reply));
  } catch (error) {
    if (result === undefined) throw error;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
  if (result === undefined) throw new RpcError('INTERNAL', `${peer}: the run was answered with nothing`);
  return result;
}

/** Over reconnections, until another reader takes over, `signal` aborts or the client is closed. */
async function* followDeliveries(
  channel: Channel,
  { peer, onConnected, onDisconnected }: RunClientOptions,
  random: () => number,
  epoch: number,
  signal: AbortSignal,
): AsyncGenerator<Delivery> {
  /** Of the page that was handed on last: it comes again where the word that it was taken got lost. */
  let seen: ReadonlySet<string> = new Set();
  let waitMs = RETRY_MS_MIN;
  while (!signal.aborted) {
    let isOpen = false;
    try {
      const stream = channel.stream(`${RUN_SERVICE}/Deliveries`, { signal });
      stream.send(DELIVERIES_MESSAGE.encode({ epoch, taken: false }));
      for await (const message of stream.replies) {
        const { incarnation, deliveries } = DELIVERIES_PAGE.decode(message);
        if (!isOpen) {
          isOpen = true;
          waitMs = RETRY_MS_MIN;
          onConnected?.(incarnation);
          continue;
        }
        const known = seen;
        const now = new Set<string>();
        seen = now;
        for (const delivery of deliveries) {
          const key = deliveryKey(delivery);
          // only what was really handed on, should the reader leave in the middle
          now.add(key);
          if (!known.has(key)) yield delivery;
        }
        stream.send(DELIVERIES_MESSAGE.encode({ taken: true }));
      }
      return;
    } catch (error) {
      if (signal.aborted) return;
      const failure = explained(error, peer);
      if (!(failure instanceof RpcError) || !MAY_PASS.has(failure.code)) throw failure;
      onDisconnected?.(failure);
    }
    await pause(waitMs * (0.5 + random()), signal);
    waitMs = Math.min(waitMs * 2, RETRY_MS_MAX);
  }
}

/** Another certificate, a restart, a slow start may mend these; a wrong version or a bug do not mend themselves. */
const MAY_PASS: ReadonlySet<string> = new Set([
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'CANCELLED',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'INTERNAL',
  'UNKNOWN',
]);

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
  });
