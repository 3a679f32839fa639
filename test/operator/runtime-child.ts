// A query runtime as a process of its own: the real one on a real ledger, behind the real Run server, over a node in memory.
// Arguments: folder of the ledger, port, milliseconds of Unix time since when there are rows, namespaces with a comma between.
// What it was asked for goes to standard output, one JSON object a line.
import { writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import { presetNames, presetText } from '../../src/cli/presets.ts';
import { openLedger } from '../../src/ledger/ledger.ts';
import { now } from '../../src/model/time.ts';
import { createRunServer } from '../../src/rpc/run-server.ts';
import { createRuntime } from '../../src/runtime/runtime.ts';
import { openSender } from '../../src/runtime/senders.ts';
import { liveNode } from './live-node.ts';

const [folder = '', port = '', since = '', namespaces = ''] = process.argv.slice(2);

/** What a test reads of a runtime. */
export type RuntimeLine =
  | { readonly kind: 'listening' }
  /** `committing`: a process that is killed has perhaps done it and did not come to say so. */
  | {
      readonly kind: 'committing' | 'committed' | 'not-committed';
      readonly uid: string;
      readonly start: string;
      readonly end: string;
      readonly outcome: string;
      readonly epoch: number;
    }
  | { readonly kind: 'put'; readonly uid: string; readonly revision: string }
  | { readonly kind: 'removed'; readonly uid: string; readonly graceMs: number }
  | { readonly kind: 'compiled'; readonly uid: string }
  | { readonly kind: 'fault'; readonly text: string };

const tell = (line: RuntimeLine): void => void writeSync(1, `${JSON.stringify(line)}\n`);

const file = await openLedger(folder);
const ledger: typeof file = {
  ...file,
  async commit(window) {
    const { uid, start, end, outcome } = window.outcome;
    const line = { uid, start: String(start), end: String(end), outcome, epoch: window.epoch };
    tell({ kind: 'committing', ...line });
    const result = await file.commit(window);
    tell({ kind: result.status === 'committed' ? 'committed' : 'not-committed', ...line });
    return result;
  },
};
const node = liveNode(namespaces.split(','), Number(since));
const runtime = createRuntime({
  ledger,
  nodes: () => [node],
  openSender: (destination) =>
    openSender(destination, { console: new Writable({ write: (_chunk, _encoding, done) => done() }) }),
  preset: async (name) => presetText(name),
  presetNames: presetNames(),
  now,
  clock: () => performance.now(),
  random: Math.random,
  forbidScriptEndpoint: true,
  version: '0.0.0',
  onFault: (what, error) => tell({ kind: 'fault', text: `${what}: ${String(error)}` }),
});
const backend: typeof runtime = {
  ...runtime,
  compile(request) {
    tell({ kind: 'compiled', uid: request.uid ?? '' });
    return runtime.compile(request);
  },
  putDestination(uid, revision, destination) {
    tell({ kind: 'put', uid, revision });
    return runtime.putDestination(uid, revision, destination);
  },
  removeDestination(uid, graceMs) {
    tell({ kind: 'removed', uid, graceMs });
    return runtime.removeDestination(uid, graceMs);
  },
};
await createRunServer(backend, {
  listen: `127.0.0.1:${port}`,
  tls: undefined,
  version: '0.0.0',
  isAllowed: () => true,
  onRefused: (reason, detail) => tell({ kind: 'fault', text: `${reason}: ${detail}` }),
  onFault: (what, error) => tell({ kind: 'fault', text: `${what}: ${String(error)}` }),
});
tell({ kind: 'listening' });
