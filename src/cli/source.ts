// Where `sluice run` and `sluice tables` read rows: a folder, a recording, or a collector in this process that captures
// first. Each becomes a node that plans can be asked of.
import { existsSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { openRecording } from '../collector/sources/recording.ts';
import { DEFAULT_LIMITS } from '../engine/context.ts';
import { execute } from '../engine/execute.ts';
import { NO_LOSS } from '../model/loss.ts';
import { now, timeNs, type TimeNs } from '../model/time.ts';
import type { FragmentEvent, Node } from '../plan/node.ts';
import { openDirectory, type TableDirectory } from '../tables/directory.ts';
import { openRemoteNode } from '../rpc/flight-node.ts';
import { isRole, type Identity } from '../rpc/identity.ts';
import { checkMaterial, tlsFromFolder } from '../rpc/tls.ts';
import type { TableStore } from '../tables/store.ts';
import { addressArg } from './args.ts';
import { dropToSudoUser, liveSource, startAgent } from './capture.ts';
import { UsageError, type CommandIo } from './command.ts';

export interface Source {
  readonly node: Node;
  /** `*`, or the one namespace that may be read there. */
  readonly scope: string;
  /** [start, end) of all rows; undefined where there are none. */
  readonly range: { readonly start: TimeNs; readonly end: TimeNs } | undefined;
  rows(table: string): number;
  /** For people, about the source itself. */
  readonly warnings: readonly string[];
  close(): Promise<void>;
}

export interface SourceOptions {
  /** How long a live source captures before it is read. */
  readonly durationMs: number;
  /** Certificates for a collector elsewhere; plain text without. */
  readonly tls?: string;
}

/** A folder as a node: everything is there already, nothing is lost. */
function directoryNode(name: string, directory: TableDirectory): Node {
  return {
    name,
    state: () => Promise.resolve({ startTime: directory.range?.start ?? timeNs(0n), blind: [] }),
    waitForWatermark: () => Promise.resolve(),
    async *query(fragment, { scope, signal }): AsyncGenerator<FragmentEvent> {
      const stats = { rowsRead: 0, bytesRead: 0 };
      const context = {
        tables: directory,
        identity: directory.identity,
        asid: 1,
        scope,
        node: name,
        signal,
        clock: () => performance.now(),
        limits: DEFAULT_LIMITS,
        stats,
      };
      for await (const batch of execute(fragment, context)) yield { kind: 'batch', batch };
      yield { kind: 'end', stats };
    },
    loss: () => Promise.resolve(NO_LOSS),
  };
}

async function openFolder(path: string): Promise<Source> {
  const directory = await openDirectory(path);
  return {
    node: directoryNode(path, directory),
    scope: '*',
    range: directory.range,
    rows: (table) => directory.rows(table),
    warnings: directory.warnings,
    close: () => Promise.resolve(),
  };
}

/** The smallest range that has all rows of a store. */
function rangeOf(store: TableStore): Source['range'] {
  let [start, end]: [TimeNs | undefined, TimeNs | undefined] = [undefined, undefined];
  for (const { name } of store.tables) {
    for (const batch of store.snapshot(name, { columns: ['time_'] })) {
      const [times] = batch.columns;
      if (times?.type !== 'TIME64NS' || batch.length === 0) continue;
      const [first, last] = [timeNs(times.values[0] ?? 0n), timeNs((times.values[batch.length - 1] ?? 0n) + 1n)];
      if (start === undefined || first < start) start = first;
      if (end === undefined || last > end) end = last;
    }
  }
  return start === undefined || end === undefined ? undefined : { start, end };
}

async function openRecordingFile(path: string): Promise<Source> {
  const { agent, store } = startAgent(openRecording(path));
  await agent.ended;
  return {
    node: agent.node,
    scope: '*',
    range: rangeOf(store),
    rows: (table) => store.stats(table).rows,
    warnings: [],
    close: () => agent.stop(),
  };
}

async function openLive(io: CommandIo, { durationMs }: SourceOptions): Promise<Source> {
  const lines: string[] = [];
  const { source, close } = liveSource({ io, onLine: (line) => lines.push(line) });
  const { agent, store } = startAgent(source);
  try {
    await source.connected;
    dropToSudoUser(io.env);
    const { startTime } = agent.state();
    if (io.stderr.isTTY === true) io.stderr.write(`capturing for ${durationMs / 1000} s\n`);
    await sleep(durationMs, undefined, { signal: io.signal }).catch(() => undefined);
    const end = now();
    await agent.node.waitForWatermark(['http_events'], end, AbortSignal.timeout(5000));
    return {
      node: agent.node,
      scope: '*',
      range: { start: startTime, end },
      rows: (table) => store.stats(table).rows,
      warnings: agent.state().blind.map(({ source: name, reason, message }) => `${name}: ${reason}: ${message}`),
      async close() {
        await agent.stop();
        close();
      },
    };
  } catch (error) {
    await agent.stop();
    close();
    throw error;
  }
}

/** A running collector. Its own certificate says what this process may read there. */
async function openCollector(address: string, io: CommandIo, { tls: folder }: SourceOptions): Promise<Source> {
  addressArg('from', address);
  const tls = folder === undefined ? undefined : await tlsFromFolder(folder, { onFault: () => undefined });
  const isServer = ({ path }: Identity): boolean => path === 'sa/sluice-collector';
  const node = openRemoteNode({ name: address, address, tls, isServer });
  const close = (): Promise<void> => {
    node.close();
    tls?.close();
    return Promise.resolve();
  };
  try {
    const { startTime, oldest, blind } = await node.state(io.signal);
    const rows = await node.tables(io.signal);
    const identity = tls === undefined ? undefined : checkMaterial(tls.current()).identity;
    return {
      node,
      scope: identity === undefined || isRole(identity, identity.namespace, 'runtime') ? '*' : identity.namespace,
      range: startTime === 0n ? undefined : { start: oldest ?? startTime, end: now() },
      rows: (table) => rows.get(table) ?? 0,
      warnings: blind.map(({ source: name, reason, message }) => `${name}: ${reason}: ${message}`),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Opens what `--from` names. Throws UsageError for what cannot be a source. */
export async function openSource(from: string, io: CommandIo, options: SourceOptions): Promise<Source> {
  if (from === 'live') return openLive(io, options);
  if (from.startsWith('grpc://')) return openCollector(from.slice('grpc://'.length), io, options);
  if (/\.pcap(ng)?$/.test(from))
    throw new UsageError('--from FILE.pcap is not in this version; give a folder or a .slrec file');
  if (!existsSync(from)) throw new UsageError(`--from: there is no ${from}; give live, a folder or a .slrec file`);
  return statSync(from).isDirectory() ? openFolder(from) : openRecordingFile(from);
}
