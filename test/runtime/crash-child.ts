// A whole `sluice local` without eBPF: schedule, runtime, ledger and delivery of one script with windows of one second,
// on a clock that runs 40 times as fast. Made to be killed. Arguments: state folder, receiver's port, the real time (ms)
// at which its clock began. Ends by itself when the window that the last argument counts is delivered.
import { writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import { createDispatcher } from '../../src/controllers/dispatcher.ts';
import { openLedger } from '../../src/ledger/ledger.ts';
import { NS_PER_SECOND, timeNs, type TimeNs } from '../../src/model/time.ts';
import { createRuntime } from '../../src/runtime/runtime.ts';
import { openSender } from '../../src/runtime/senders.ts';
import { CONSOLE, COUNT_BY_PATH, s } from './harness.ts';
import { tableNode } from './table-node.ts';

const [folder = '', port = '', began = '', windows = ''] = process.argv.slice(2);
const SPEED = 40;
const ROWS_PER_SECOND = 10;

const now = (): TimeNs => timeNs(s(0) + BigInt(Date.now() - Number(began)) * 1_000_000n * BigInt(SPEED));

const source = tableNode('host');
let made = 0;
/** Rows follow from their time alone, so a restarted process sees what the one before saw. */
const node = {
  ...source,
  waitForWatermark: async (_tables: readonly string[], time: TimeNs) => {
    const until = Number((time - s(0)) / (NS_PER_SECOND / BigInt(ROWS_PER_SECOND)));
    for (; made < until; made += 1) source.http(s(made / ROWS_PER_SECOND), { req_path: '/a' });
  },
};

const fail = (what: string, error: unknown): void => {
  writeSync(2, `${what}: ${String(error)}\n`);
  process.exit(1);
};
const ledger = await openLedger(folder, { windowsKept: 4 });
const console = new Writable({ write: (_chunk, _encoding, done) => done() });
const runtime = createRuntime({
  ledger,
  nodes: () => [node],
  openSender: (destination) => openSender(destination, { console }),
  preset: async () => undefined,
  now,
  clock: () => performance.now(),
  random: () => 0,
  forbidScriptEndpoint: false,
  version: '0.0.0',
  onFault: fail,
});
const { scriptHash } = await runtime.compile({ script: { kind: 'text', text: COUNT_BY_PATH }, args: {} });
await runtime.putDestination('plugin', '1', { ...CONSOLE, type: 'OTLPGRPC', endpoint: `127.0.0.1:${port}` });
const dispatcher = createDispatcher({
  runtime,
  epoch: 1,
  now,
  listener: {
    committed: (_uid, outcome) => writeSync(1, `committed ${outcome.outcome} ${outcome.end - outcome.start}\n`),
    failed: (_uid, outcome) => fail('failed', JSON.stringify(outcome.error)),
    delivered: () => undefined,
    unknown: (_uid, what) => fail('unknown', what),
    broke: (_uid, error) => fail('broke', String(error)),
  },
});
await dispatcher.apply([
  {
    schedule: {
      uid: 'uid',
      windowNs: NS_PER_SECOND,
      catchUp: { policy: 'All', maxAgeNs: 3600n * NS_PER_SECOND },
      suspend: false,
    },
    run: {
      scriptHash,
      scriptName: 'shop/requests',
      pluginUid: 'plugin',
      revision: '1',
      scope: '*',
      limits: { timeoutMs: 10_000, rowsMax: 1000, watermarkWaitMs: 10_000 },
    },
  },
]);
for await (const delivery of runtime.deliveries(1, new AbortController().signal)) {
  dispatcher.delivered(delivery);
  if (delivery.windowRepeated) writeSync(1, `repeated ${delivery.start} ${delivery.end}\n`);
  const until = dispatcher.progress('uid')?.deliveredUntil ?? s(0);
  if (until >= s(Number(windows))) break;
}
await dispatcher.stop(1000);
await runtime.stop(1000);
await ledger.close();
