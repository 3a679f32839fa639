// Destinations that are away, silent, broken in the middle of an answer, or busy, all at once in one program: each says
// so, none holds up another, and when they are back every window is there once. Credentials appear nowhere.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { status as grpcStatus } from '@grpc/grpc-js';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeOtlp } from '../../src/exporters/otlp/json.ts';
import { startReceiver, type Receiver } from '../../src/exporters/otlp/receiver.ts';
import { scriptedServer, type ScriptedServer } from '../exporters/otlp/scripted-server.ts';
import { faultProxy, type Fault, type FaultProxy } from './fault-proxy.ts';
import { countManifest, scratch, startLocal, until, type Local } from './harness.ts';
import { bySecond, traffic } from './traffic.ts';
import { conditionOf, disguises, filesBelow, gapsOf, ledgerOf, sumsOf, windowsOf } from './windows.ts';

const TOKEN = 'canary-bearer-8f2c+/7Zq?';
const KEY = 'canary-header-51d0&=9Xy';
const SECONDS = 9;

/** A real receiver behind a proxy. */
interface Backend {
  readonly receiver: Receiver;
  readonly proxy: FaultProxy;
  readonly requests: object[];
  readonly bytes: string[];
}

async function backend(fault: Fault): Promise<Backend> {
  const receiver = await startReceiver({ grpc: '127.0.0.1:0' });
  const proxy = await faultProxy(receiver.ports.grpc ?? 0, fault);
  const [requests, bytes]: [object[], string[]] = [[], []];
  receiver.onRequest((request) => {
    requests.push(request.json);
    bytes.push(Buffer.from(request.bytes).toString('base64'));
    proxy.taken();
  });
  return { receiver, proxy, requests, bytes };
}

const manifests = (name: string): string => `
apiVersion: sluice.dev/v1alpha1
kind: OtelPlugin
metadata: { name: ${name}, namespace: test }
spec:
  destination:
    type: OTLPGRPC
    endpoint: ${name}.invalid:4317
    tls: { mode: Plaintext }
    timeout: 1s
    auth: { bearer: { secretKeyRef: { name: canary, key: token } } }
    headers: [{ name: api-key, valueFrom: { secretKeyRef: { name: canary, key: key } } }]
---${countManifest('1s', name).replace('name: collector', `name: ${name}`)}`;

describe('destinations that fail', () => {
  const place = scratch();
  const state = join(place.dir, 'state');
  let backends: Record<'healthy' | 'refused' | 'hanging' | 'cut', Backend>;
  let busy: ScriptedServer;
  let local: Local;
  let firstMs: number;
  let expected: Map<bigint, number>;
  const until_ = (name: string, ms: number) =>
    until(`${name} is delivered until ${new Date(ms).toISOString()} (${local.errors.at(-1) ?? ''})`, () =>
      Date.parse(local.status(name)?.deliveredUntil ?? '') >= ms ? true : undefined,
    );
  /** Each full window from the script's first on, and no other, each once. */
  const expectAll = (name: string, requests: readonly unknown[]): void => {
    const sums = sumsOf(windowsOf(requests));
    const first = ledgerOf(state, name)[0]?.start ?? 0n;
    expect(sums).toEqual(new Map([...expected].filter(([start]) => start >= first)));
    expect(sums.size).toBeGreaterThanOrEqual(5);
    expect(gapsOf(ledgerOf(state, name))).toEqual([]);
  };

  beforeAll(async () => {
    backends = {
      healthy: await backend('pass'),
      refused: await backend('refuse'),
      hanging: await backend('hang'),
      cut: await backend('cut'),
    };
    busy = await scriptedServer((n, { metadata }) =>
      n < 2
        ? {
            kind: 'status',
            code: grpcStatus.UNAVAILABLE,
            details: `too busy for ${metadata.get('authorization').join('')} and ${metadata.get('api-key').join('')}`,
          }
        : { kind: 'ok' },
    );
    const names = [...Object.keys(backends), 'busy', 'nowhere'];
    for (const name of names) place.write(`manifests/${name}.yaml`, manifests(name));
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'canary', namespace: 'test' } };
    place.write(
      'manifests/secret.json',
      JSON.stringify({
        ...secret,
        data: { token: Buffer.from(TOKEN).toString('base64') },
        stringData: { key: `${KEY}\n` },
      }),
    );
    // a broken manifest with a secret in it: what the parser quotes must not get out
    place.write('manifests/torn.yaml', `apiVersion: v1\nkind: Secret\nstringData:\n  token: "${TOKEN}" "${TOKEN}"\n`);
    place.write('manifests/alias.yaml', `apiVersion: v1\nkind: Secret\nstringData: { token: *${TOKEN} }\n`);
    const recording = traffic({ seconds: SECONDS });
    firstMs = recording.firstMs;
    expected = bySecond(recording.times);
    writeFileSync(join(place.dir, 'traffic.slrec'), recording.bytes);
    local = startLocal({
      manifests: join(place.dir, 'manifests'),
      state,
      connectTo: Object.fromEntries([
        ...Object.entries(backends).map(([name, { proxy }]) => [`${name}.invalid:4317`, proxy.address]),
        ['busy.invalid:4317', busy.endpoint],
      ]),
      args: ['--from', join(place.dir, 'traffic.slrec'), '--log-level', 'debug'],
    });
    await local.capturing();
  });
  afterAll(async () => {
    await local?.stop();
    for (const { receiver, proxy } of Object.values(backends)) {
      await proxy.close();
      await receiver.close();
    }
    busy.close();
    place.remove();
  });

  test.each([
    ['refused', /UNAVAILABLE.*ECONNREFUSED/],
    ['hanging', /DEADLINE_EXCEEDED/],
    ['cut', /UNAVAILABLE/],
    ['nowhere', /UNAVAILABLE.*nowhere\.invalid/],
  ])('say why: %s', async (name, reason) => {
    const condition = await until(`${name} is retrying`, () => {
      const delivered = conditionOf(local.status(name), 'Delivered');
      return delivered?.status === 'False' ? delivered : undefined;
    });
    expect(condition).toMatchObject({ reason: 'Retrying', message: expect.stringMatching(reason) });
    expect(conditionOf(local.status(name), 'Ready')).toMatchObject({ status: 'True' });
  });

  test('do not hold up a healthy one', async () => {
    await until_('healthy', firstMs + 5000);
    expect(local.status('refused')?.totals.metrics).toBe(0);
    expect(local.status('hanging')?.totals.metrics).toBe(0);
    expect([...backends.refused.requests, ...backends.hanging.requests]).toEqual([]);
    const states = local.events.flatMap(({ name, status }) =>
      name === 'healthy' && status !== undefined ? [conditionOf(status, 'Delivered')?.status] : [],
    );
    expect(states).not.toContain('False');
  });

  test('stay Retrying while the next attempt hangs, too', () => {
    const states = local.events.flatMap(({ kind, name, status }) =>
      kind === 'ExportScript' && name === 'hanging' && status !== undefined
        ? [conditionOf(status, 'Delivered')?.status]
        : [],
    );
    expect(states.slice(states.indexOf('False')).every((one) => one === 'False')).toBe(true);
  });

  test('get every window once when they are back', async () => {
    const back = ['refused', 'hanging', 'cut'] as const;
    for (const name of back) await backends[name].proxy.set('pass');
    for (const name of ['healthy', 'busy', ...back]) await until_(name, firstMs + SECONDS * 1000);
    for (const name of back)
      await until(`${name} is well`, () => conditionOf(local.status(name), 'Delivered')?.status === 'True');
    expect(conditionOf(local.status('nowhere'), 'Ready')).toMatchObject({ status: 'True' });
    expect(await local.stop()).toBe(0);

    expectAll('healthy', backends.healthy.requests);
    expectAll('refused', backends.refused.requests);
    expectAll('hanging', backends.hanging.requests);
    const answered = busy.calls.slice(2).map(({ bytes }) => decodeOtlp('metrics', bytes));
    expectAll('busy', answered);
    // where an answer was cut the request came again, the very same; nothing else came twice
    const { bytes, requests, proxy } = backends.cut;
    expect(proxy.cuts).toBeGreaterThanOrEqual(1);
    const distinct = new Map(requests.map((request, i) => [bytes[i] ?? '', request]));
    expect(bytes.length - distinct.size).toBe(proxy.cuts);
    expectAll('cut', [...distinct.values()]);
  });

  test('leave no trace of their credentials', async () => {
    expect(busy.calls[0]?.metadata.get('authorization')).toEqual([`Bearer ${TOKEN}`]);
    expect(busy.calls[0]?.metadata.get('api-key')).toEqual([KEY]);
    const texts = [
      JSON.stringify(local.events),
      ...local.errors,
      ...filesBelow(state).map((b) => b.toString('latin1')),
    ];
    expect(local.events.some(({ status }) => JSON.stringify(status)?.includes('too busy for'))).toBe(true);
    expect(filesBelow(state).length).toBeGreaterThan(10);
    for (const secret of [TOKEN, KEY].flatMap(disguises)) {
      expect(texts.filter((text) => text.includes(secret)).map((text) => text.slice(0, 300))).toEqual([]);
    }
    expect(local.errors.filter((line) => line.includes('canary-')).map((line) => line.slice(0, 300))).toEqual([]);
  });
});
