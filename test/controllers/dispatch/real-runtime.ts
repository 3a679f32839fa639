// Real runtimes on real ledgers for the dispatcher's tests: each can be stopped, started again on its folder or on an empty
// one, and cut off from one leader. What the destination takes is counted by script and row time.
import { Writable } from 'node:stream';
import type { ConnectionListener, RuntimeClient } from '../../../src/controllers/dispatch/contract.ts';
import { decodeOtlp } from '../../../src/exporters/otlp/json.ts';
import type { EncodedRequest } from '../../../src/exporters/sender.ts';
import { openLedger, type Ledger } from '../../../src/ledger/ledger.ts';
import type { CommittedInterval } from '../../../src/model/run.ts';
import { now } from '../../../src/model/time.ts';
import { createRuntime, type Runtime } from '../../../src/runtime/runtime.ts';
import { openSender } from '../../../src/runtime/senders.ts';
import { temporaryFolder } from '../../ledger/samples.ts';
import type { TableNode } from '../../runtime/table-node.ts';

export interface RealRuntime {
  /** Undefined while it is stopped. */
  readonly runtime: Runtime | undefined;
  /** A leader's connection. */
  connect(listener: ConnectionListener): RuntimeClient;
  stop(): Promise<void>;
  start(isEmpty?: boolean): Promise<void>;
  committed(uid: string): Promise<readonly CommittedInterval[]>;
  close(): Promise<void>;
}

export async function startRealRuntime(
  node: TableNode,
  onSent: (request: EncodedRequest) => void,
): Promise<RealRuntime> {
  let folder = temporaryFolder();
  let ledger: Ledger | undefined;
  let runtime: Runtime | undefined;
  let life = new AbortController();
  const console = new Writable({ write: (_chunk, _encoding, done) => done() });

  async function start(isEmpty = false): Promise<void> {
    if (isEmpty) {
      folder.remove();
      folder = temporaryFolder();
    }
    ledger = await openLedger(folder.path);
    life = new AbortController();
    runtime = createRuntime({
      ledger,
      nodes: () => [node],
      openSender: (destination) =>
        destination.type === 'Console'
          ? {
              send: async (request) => {
                onSent(request);
                return { status: 'sent', rejected: 0 };
              },
              close: () => undefined,
            }
          : openSender(destination, { console }),
      preset: async () => undefined,
      now,
      clock: () => performance.now(),
      random: Math.random,
      forbidScriptEndpoint: true,
      version: '0.0.0',
      onFault: () => undefined,
    });
  }

  async function stop(): Promise<void> {
    life.abort(new Error('stopped'));
    const [was, file] = [runtime, ledger];
    runtime = undefined;
    ledger = undefined;
    await was?.stop(0);
    await file?.close();
  }

  function connect(listener: ConnectionListener): RuntimeClient {
    const closing = new AbortController();
    const there = (): Runtime => {
      if (closing.signal.aborted) throw new Error('closed');
      if (runtime === undefined) throw new Error('connection refused');
      return runtime;
    };
    return {
      hello: async (epoch) => there().hello(epoch),
      compile: async (request) => there().compile(request),
      putDestination: async (...args) => there().putDestination(...args),
      removeDestination: async (...args) => there().removeDestination(...args),
      ledger: async (uids) => there().ledger(uids),
      run: async (request, signal) => there().run(request, signal),
      skip: async (request) => there().skip(request),
      async *deliveries(epoch, signal) {
        while (!signal.aborted) {
          try {
            const { incarnation } = await there().hello(0);
            listener.connected(incarnation);
            const ends = AbortSignal.any([signal, closing.signal, life.signal]);
            const { signal: alive } = life;
            yield* there().deliveries(epoch, ends);
            if (!alive.aborted) return;
            listener.disconnected(new Error('the connection broke'));
          } catch (error) {
            listener.disconnected(error instanceof Error ? error : new Error(String(error)));
          }
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      },
      oldestData: async () => undefined,
      async status() {
        const { destinations } = await there().state();
        return { destinations };
      },
      close: () => closing.abort(new Error('closed')),
    };
  }

  await start();
  return {
    get runtime() {
      return runtime;
    },
    connect,
    stop,
    start,
    committed: async (uid) => (await ledger?.committed([uid]))?.get(uid) ?? [],
    async close() {
      await stop();
      folder.remove();
    },
  };
}

/** Sum of all points' values by the script's name. */
export function countByScript(sent: readonly EncodedRequest[]): Map<string, number> {
  const sums = new Map<string, number>();
  const walk = (value: unknown, script: string): void => {
    if (Array.isArray(value)) return value.forEach((one) => walk(one, script));
    if (typeof value !== 'object' || value === null) return undefined;
    const entry = value as Record<string, unknown>;
    if ('timeUnixNano' in entry) {
      sums.set(script, (sums.get(script) ?? 0) + Number(entry['asInt'] ?? entry['asDouble']));
      return undefined;
    }
    const scope = (entry['scope'] as { name?: string } | undefined)?.name;
    for (const child of Object.values(entry)) walk(child, scope ?? script);
    return undefined;
  };
  for (const { signal, bytes } of sent) walk(decodeOtlp(signal, bytes).resourceMetrics ?? [], '');
  return sums;
}
