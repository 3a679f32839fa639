import { afterEach, describe, expect, test } from '@jest/globals';
import { createControl, type Control } from '../../../src/cli/local/control.ts';
import { dispatcherState, type Progress } from '../../../src/cli/local/publish.ts';
import { desiredOf } from '../../../src/controllers/desired.ts';
import { readManifests } from '../../../src/crds/manifest.ts';
import { openLedger, type Ledger } from '../../../src/ledger/ledger.ts';
import { timeNs, type TimeNs } from '../../../src/model/time.ts';
import { createRuntime, type Runtime } from '../../../src/runtime/runtime.ts';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tableNode } from '../../runtime/table-node.ts';

const SECOND = 1_000_000_000n;
const HEADER = 'apiVersion: sluice.dev/v1alpha1\n';
const PLUGIN = `${HEADER}kind: OtelPlugin\nmetadata: {name: p}\nspec: {destination: {type: Console}}\n`;
const script = (name: string, text: string, more = ''): string =>
  `${HEADER}kind: ExportScript\nmetadata: {name: ${name}}\nspec: {pluginRef: {name: p}, window: 1m, ${more} script: {inline: ${JSON.stringify(text)}}}\n`;
const manifestsOf = (...texts: string[]) => readManifests(texts.map((text, i) => ({ file: `${i}.yaml`, text })));
const COUNT = (comment: string): string =>
  `import px\ndf = px.DataFrame('http_events', start_time=px.plugin.start_time, end_time=px.plugin.end_time)\ndf = df.groupby('req_path').agg(n=('latency', px.count), time_=('time_', px.max))\npx.export(df, px.otel.Data(resource={'service.name': 's'}, data=[px.otel.metric.Gauge(name='n', value=df.n)]))\n# ${comment}`;

describe('the next window', () => {
  const nextOf = (manifest: string, finishedUntil: TimeNs): Progress['nextWindow'] => {
    const desired = desiredOf(manifestsOf(PLUGIN, manifest), []);
    const progress = () => ({ deliveredUntil: finishedUntil, finishedUntil, failures: 0 });
    const dispatcher = {
      progress,
      apply: async () => undefined,
      delivered: () => undefined,
      stop: async () => undefined,
    };
    return [...dispatcherState(dispatcher, desired).values()][0]?.nextWindow;
  };

  test('ends on the grid, where the script had shorter windows before', () => {
    const at = timeNs(1_000_000n * 60n * SECOND + 10n * SECOND);
    expect(nextOf(script('a', COUNT('')), at)).toEqual({ start: at, end: timeNs(at + 50n * SECOND) });
  });

  test('of a suspended script is none', () => {
    expect(nextOf(script('a', COUNT(''), 'suspend: true,'), timeNs(60n * SECOND))).toBeUndefined();
  });
});

describe('what the runtime has forgotten', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-control-'));
  const stopping = new AbortController();
  let ledger: Ledger | undefined;
  let runtime: Runtime | undefined;
  let control: Control | undefined;
  afterEach(async () => {
    stopping.abort();
    await control?.stop(0);
    await runtime?.stop(0);
    await ledger?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('is given again: a script goes on', async () => {
    ledger = await openLedger(folder);
    const node = tableNode('n');
    node.advance(timeNs(2n ** 62n));
    const real = createRuntime({
      ledger,
      nodes: () => [node],
      openSender: () => ({ send: async () => ({ status: 'sent', rejected: 0 }), close: () => undefined }),
      preset: async () => undefined,
      now: () => timeNs(0n),
      clock: () => performance.now(),
      random: Math.random,
      forbidScriptEndpoint: false,
      version: '0',
      onFault: () => undefined,
    });
    const compiled: string[] = [];
    let published = 0;
    const done = Promise.withResolvers<void>();
    // a minute passes in 600 ms
    const began = performance.now();
    const now = (): TimeNs =>
      timeNs(1_000_000n * 60n * SECOND + BigInt(Math.round((performance.now() - began) * 100)) * (SECOND / 1000n));
    runtime = {
      ...real,
      async compile(request) {
        compiled.push('compile');
        return real.compile(request);
      },
      async run(request, signal) {
        // it forgets all texts once, after the first run
        if (compiled.length === 1 && node.queries === 1) return { status: 'unknown', what: 'script' };
        const result = await real.run(request, signal);
        if (node.queries === 3) done.resolve();
        return result;
      },
    };
    control = createControl({
      runtime,
      presetNames: [],
      previousStatus: () => undefined,
      readManifests: () => manifestsOf(PLUGIN, script('a', COUNT('a'))),
      now,
      epoch: 1,
      publisher: {
        publish: () => void (published += 1),
        problems: () => undefined,
        refresh: () => undefined,
        observe: () => undefined,
      },
      signal: stopping.signal,
      onFault: (what, error) => done.reject(new Error(what, { cause: error })),
    });
    await control.reconcile();
    await done.promise;
    expect(compiled).toHaveLength(2);
    // what changed last is published when it stops, not some time later
    const before = published;
    await control.stop(0);
    expect(published).toBe(before + 1);
  });
});
