// `make demo`: a shop under load, `sluice local` with the samples, a receiver, and for each window the shop's own count
// beside what arrived. Exit status 0 only if every judged window holds.
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sudoIds } from '../../src/cli/capture.ts';
import type { ExportScript } from '../../src/crds/export-script.ts';
import type { ExportScriptStatus } from '../../src/crds/status.ts';
import { captureMode } from './capture.ts';
import { start, stopAll } from './processes.ts';
import { collectReceived } from './received.ts';
import { startReceiver } from './receivers.ts';
import { createScreen, type ScriptRow } from './screen.ts';
import { holds, truthLine, type WindowTruth } from './truth.ts';
import { msUntilBoundary, WINDOW_MS } from './windows.ts';

/** Our shop and no other: without Kubernetes a pod is `host/<service>-<pid>`. */
const shopPod = (pid: number | undefined): RegExp => new RegExp(`^host/shop(\\.\\w+)?-${pid ?? '\\d+'}$`);
const JUDGED_WINDOWS = 3;
const HARD_STOP_MS = 75_000;
const ARRIVAL_MS = 2000;
const ENDPOINT = 'otel-collector.default.svc.cluster.local:4317';

const screen = createScreen(process.stdout);
const folder = mkdtempSync(join(tmpdir(), 'sluice-demo-'));
// `sluice local` gives root up for the user who called sudo, and keeps its state here
const sudo = sudoIds(process.env);
if (sudo !== undefined) chownSync(folder, sudo.uid, sudo.gid);
let shop = shopPod(undefined);
const received = collectReceived((pod) => shop.test(pod));

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });

const field = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** What `sluice local --format json` has said so far. */
const local = {
  attachedMs: undefined as number | undefined,
  /** What a recording's times were moved by. */
  shiftMs: 0,
  scripts: new Map<string, ScriptRow>(),
  /** Loss by window start, of the preset that counts. */
  lost: new Map<number, number>(),
  deliveredUntil: 0,
};

function onLocal(startedMs: number, line: string): void {
  const event: unknown = JSON.parse(line);
  if (field(event, 'event') === 'capturing') {
    local.attachedMs ??= Date.parse(String(field(event, 'since')));
    local.shiftMs = Number(BigInt(String(field(event, 'shiftNs'))) / 1_000_000n);
  }
  if (field(event, 'event') !== 'status') screen.say(text(field(event, 'message')) || line);
  if (field(event, 'event') !== 'status' || field(event, 'kind') !== 'ExportScript') return;
  const name = String(field(event, 'name'));
  const status = field(event, 'status') as ExportScriptStatus;
  local.scripts.set(name, { name, object: event as ExportScript, status, createdMs: startedMs });
  if (!name.endsWith('http-metrics')) return;
  for (const window of status.history) local.lost.set(Date.parse(window.start), window.lost);
  local.deliveredUntil = Math.max(local.deliveredUntil, Date.parse(status.deliveredUntil ?? '') || 0);
}

async function main(): Promise<number> {
  const startedMs = Date.now();
  const mode = captureMode(folder);
  for (const line of mode.notes) screen.say(line);
  const port = await freePort();
  const receiver = await startReceiver(process.env['RECEIVER'] ?? 'receive', port, folder, (line) =>
    received.line(line),
  );
  screen.say(`receiver: ${receiver.name} on 127.0.0.1:${port}`);

  const counted = new Map<number, number>();
  if (mode.kind === 'live') {
    const shopPort = await new Promise<number>((resolve) => {
      const { pid } = start(process.execPath, ['scripts/demo/shop.ts'], (line) => {
        const said: unknown = JSON.parse(line);
        const [listening, end] = [field(said, 'port'), field(said, 'end')];
        if (typeof listening === 'number') resolve(listening);
        if (typeof end === 'number') counted.set(end - WINDOW_MS, Number(field(said, 'counted')));
      });
      shop = shopPod(pid);
    });
    screen.say(`shop: http://127.0.0.1:${shopPort}`);
    start(process.execPath, ['scripts/demo/shopper.ts', String(shopPort)], () => undefined);
  }

  const errors: string[] = [];
  const sluice = start(
    'bin/sluice',
    [
      'local',
      '--manifests',
      'config/samples',
      '--state',
      join(folder, 'state'),
      '--connect-to',
      `${ENDPOINT}=127.0.0.1:${port}`,
      '--format',
      'json',
      ...mode.args,
    ],
    (line) => onLocal(startedMs, line),
    (line) => errors.push(line),
  );
  const end: { how?: number | string } = {};
  void sluice.ended.then((how) => (end.how = how));

  /** Acknowledged is not yet written: a receiver that keeps a file gets a moment before its window is judged. */
  const deliveredAt = new Map<number, number>();
  const hasArrived = (from: number): boolean => {
    const since = deliveredAt.get(from) ?? Date.now();
    deliveredAt.set(from, since);
    return (received.requests.get(from) ?? 0) >= (counted.get(from) ?? 0) || Date.now() - since > ARRIVAL_MS;
  };
  const judged = (): WindowTruth[] => {
    if (local.attachedMs === undefined) return [];
    for (const [from, count] of mode.counted) counted.set(from + local.shiftMs, count);
    const first = Math.ceil(local.attachedMs / WINDOW_MS) * WINDOW_MS;
    return Array.from({ length: JUDGED_WINDOWS }, (_, i) => first + i * WINDOW_MS)
      .filter((from) => counted.has(from) && local.deliveredUntil >= from + WINDOW_MS)
      .filter(hasArrived)
      .map((from) => ({
        start: from,
        end: from + WINDOW_MS,
        counted: counted.get(from) ?? 0,
        exported: received.requests.get(from) ?? 0,
        lost: local.lost.get(from) ?? 0,
      }));
  };
  const show = (): void => {
    const age = Math.round((Date.now() - startedMs) / 1000);
    const truth = judged().map(truthLine);
    const headline = `Sluice demo, ${age} s: ${mode.headline} → ${receiver.name}`;
    screen.show({
      headline,
      scripts: [...local.scripts.values()],
      metrics: received.metrics,
      spans: received.spans,
      truth,
    });
  };
  while (judged().length < JUDGED_WINDOWS && end.how === undefined && Date.now() - startedMs < HARD_STOP_MS) {
    show();
    await sleep(Math.min(500, msUntilBoundary() + 20));
  }
  const windows = judged();
  show();
  sluice.stop();
  const how = end.how ?? (await sluice.ended);
  await receiver.stop();

  const right = windows.filter(holds).length;
  const total = windows.reduce((sum, { exported }) => sum + exported, 0);
  screen.say('');
  screen.say(
    `${windows.length} windows judged, ${right} hold: ${total.toLocaleString('en-US')} requests exported, ${received.points} data points received.`,
  );
  if (received.firstPointMs !== undefined) {
    screen.say(`First metric ${((received.firstPointMs - startedMs) / 1000).toFixed(1)} s after the start.`);
  }
  if (windows.length === JUDGED_WINDOWS && right === JUDGED_WINDOWS) return 0;
  if (windows.length < JUDGED_WINDOWS)
    screen.say(`Only ${windows.length} of ${JUDGED_WINDOWS} windows could be judged; sluice local ended with ${how}:`);
  errors.slice(-15).forEach((line) => screen.say(`  ${line}`));
  return 1;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => void stopAll().then(() => process.exit(130)));
}
try {
  process.exitCode = await main();
} finally {
  await stopAll();
  rmSync(folder, { recursive: true, force: true });
}
