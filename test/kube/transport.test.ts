// R34, R35: retries, waits, connections, bodies of every kind; against answers written by hand.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { openKubeClient, userAgent, type KubeClientOptions, type OpenKubeClient } from '../../src/kube/client.ts';
import { CONFIG_MAPS } from '../../src/kube/resources.ts';
import { errorOf } from '../../src/kube/transport-body.ts';
import { REQUEST_RETRY, retryDelayMs } from '../../src/kube/transport-retry.ts';
import type { Clock } from '../../src/kube/timers.ts';
import { ApiError } from '../../src/kube/types.ts';
import { createCountingMetrics } from './counting-metrics.ts';
import { startScriptedServer, type ScriptedServer } from './scripted-server.ts';
import { createVirtualClock, type VirtualClock } from './virtual-clock.ts';

const numRuns = Number(process.env['SLUICE_FUZZ_RUNS'] ?? 300);
const TIMEOUT_MS = 10_000;
const one = { metadata: { namespace: 'a', name: 'one', resourceVersion: '1' } };

let server: ScriptedServer;
let clock: VirtualClock;
let clients: OpenKubeClient[];
let delays: number[];

beforeEach(async () => {
  server = await startScriptedServer();
  clock = createVirtualClock();
  [clients, delays] = [[], []];
});
afterEach(async () => {
  for (const client of clients) await client.close();
  await server.stop();
});

function open(options: Partial<KubeClientOptions> = {}): OpenKubeClient {
  const recording: Clock = {
    now: () => clock.now(),
    after: (ms, call) => {
      if (ms !== TIMEOUT_MS && ms !== 6 * TIMEOUT_MS) delays.push(ms);
      return clock.after(ms, call);
    },
  };
  const client = openKubeClient(server.access, {
    purpose: 'main',
    userAgent: userAgent('test', '1.2.3', 'abc'),
    clock: recording,
    random: () => 0.5,
    ...options,
  });
  clients.push(client);
  return client;
}

/** Lets the client's next wait pass. */
async function afterDelay(count: number): Promise<void> {
  while (delays.length < count) await new Promise((resolve) => setImmediate(resolve));
  await clock.settle(delays[count - 1] ?? 0);
}

test('a client that was closed before its first request begins none', async () => {
  const client = open();
  await client.close();
  const asked = client.get(CONFIG_MAPS, 'a', 'one');
  await expect(Promise.race([asked, server.next()])).rejects.toThrow('the client is closed');
});

describe('retries', () => {
  test("R34: a read goes again after 100 ms, doubled, half by the dice, four times, then the error is the caller's", async () => {
    const metrics = createCountingMetrics();
    const got = open({ metrics }).get(CONFIG_MAPS, 'a', 'one');
    got.catch(() => {});
    for (let attempt = 1; attempt <= 5; attempt++) {
      const request = await server.next();
      if (attempt % 2 === 1) request.answer(500, { kind: 'Status', reason: 'InternalError', message: `no ${attempt}` });
      else request.reset();
      if (attempt < 5) await afterDelay(attempt);
    }
    await expect(got).rejects.toMatchObject({ name: 'ApiError', status: 500, message: 'no 5' });
    expect(delays).toEqual([50, 100, 200, 400]);
    expect(metrics.value('rest_client_requests_total', { code: '500', method: 'GET' })).toBe(3);
    expect(metrics.value('rest_client_requests_total', { code: '<error>', method: 'GET' })).toBe(2);
  });

  const writes = { fieldManager: 'sluice' };
  test.each<[string, boolean, (client: OpenKubeClient) => Promise<unknown>]>([
    ['an apply', true, (client) => client.apply(CONFIG_MAPS, one, writes)],
    ['an update', true, (client) => client.update(CONFIG_MAPS, one, writes)],
    ['a deletion', true, (client) => client.delete(CONFIG_MAPS, 'a', 'one')],
    ['a creation under a name', true, (client) => client.create(CONFIG_MAPS, one, writes)],
    [
      'a creation under a name that the server makes',
      false,
      (client) => client.create(CONFIG_MAPS, { metadata: { ...one.metadata, name: '' } }, writes),
    ],
    ['a JSON patch', false, (client) => client.patchJson(CONFIG_MAPS, 'a', 'one', [], writes)],
    ["a POST of one's own", false, (client) => client.raw('POST', '/x', {})],
  ])('R34: %s whose answer is lost goes again: %s', async (_name, again, act) => {
    const acted = act(open());
    acted.catch(() => {});
    (await server.next()).reset();
    if (!again) {
      await expect(acted).rejects.toThrow(/reset|other side closed|hang up/i);
      return;
    }
    await afterDelay(1);
    (await server.next()).answer(200, one);
    await acted;
  });

  test('R34: 409 after a creation whose answer was lost: it is there; 404 after such a deletion: it is done', async () => {
    const client = open();
    const created = client.create(CONFIG_MAPS, one, writes);
    created.catch(() => {});
    (await server.next()).reset();
    await afterDelay(1);
    (await server.next()).answer(409, { kind: 'Status', reason: 'AlreadyExists' });
    await expect(created).rejects.toMatchObject({ status: 409, reason: 'AlreadyExists' });
    const deleted = client.delete(CONFIG_MAPS, 'a', 'one');
    (await server.next()).reset();
    await afterDelay(2);
    (await server.next()).answer(404, { kind: 'Status', reason: 'NotFound' });
    await expect(deleted).resolves.toBeUndefined();
    const first = client.delete(CONFIG_MAPS, 'a', 'one');
    first.catch(() => {});
    (await server.next()).answer(404, { kind: 'Status', reason: 'NotFound' });
    await expect(first).rejects.toMatchObject({ status: 404 });
  });

  test('R34: Retry-After of 429 and 503 is obeyed by every verb, as header and in the Status', async () => {
    const patched = open().patchJson(CONFIG_MAPS, 'a', 'one', [], writes);
    (await server.next()).answer(429, '', { 'retry-after': '2' });
    await afterDelay(1);
    (await server.next()).answer(503, { kind: 'Status', details: { retryAfterSeconds: 3 } });
    await afterDelay(2);
    (await server.next()).answer(200, one);
    await patched;
    expect(delays).toEqual([2050, 3100]);
  });

  test('which failures are worth another attempt', () => {
    const delay = (error: unknown, idempotent: boolean, retries = 0): number | undefined =>
      retryDelayMs(REQUEST_RETRY, error, idempotent, retries, () => 1);
    const api = (status: number, afterMs?: number): ApiError => new ApiError(status, '', '', afterMs);
    for (const status of [400, 403, 404, 409, 410, 422]) expect(delay(api(status, 1000), true)).toBeUndefined();
    for (const status of [500, 502, 503, 504]) {
      expect([delay(api(status), true), delay(api(status), false)]).toEqual([100, undefined]);
    }
    expect([delay(api(429), false), delay(api(503, 1000), false)]).toEqual([100, 1100]);
    expect(delay(api(429, 30_001), true)).toBeUndefined();
    expect(delay(new Error('reset'), true, 3)).toBe(800);
    expect(delay(new Error('reset'), true, 4)).toBeUndefined();
  });

  test('R28: a lease client does nothing a second time, and has connections of its own', async () => {
    const lease = open({ purpose: 'lease' });
    const got = lease.get(CONFIG_MAPS, 'a', 'one');
    got.catch(() => {});
    (await server.next()).answer(503, '', { 'retry-after': '1' });
    await expect(got).rejects.toMatchObject({ status: 503, retryAfterMs: 1000 });
    expect(delays).toEqual([]);
  });

  test('an abort ends a wait, a request and what comes after', async () => {
    const stop = new AbortController();
    const waiting = open().get(CONFIG_MAPS, 'a', 'one', { signal: stop.signal });
    waiting.catch(() => {});
    (await server.next()).answer(500, '');
    while (delays.length === 0) await new Promise((resolve) => setImmediate(resolve));
    stop.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await expect(open().get(CONFIG_MAPS, 'a', 'one', { signal: stop.signal })).rejects.toThrow('enough');
    expect([server.waiting, clock.timers]).toEqual([0, 0]);
  });

  test('an attempt that takes longer than 10 s is given up and begun again', async () => {
    const got = open().get(CONFIG_MAPS, 'a', 'one');
    const silent = await server.next();
    await silent.write('{"metadata":');
    await clock.settle(TIMEOUT_MS);
    await silent.closed;
    await afterDelay(1);
    (await server.next()).answer(200, one);
    expect(await got).toEqual(one);
  });
});

describe('connections', () => {
  test('many requests share few connections, and watches have others', async () => {
    const client = open();
    for (let turn = 0; turn < 50; turn++) {
      const both = [client.get(CONFIG_MAPS, 'a', 'one'), client.get(CONFIG_MAPS, 'a', 'one')];
      (await server.next()).answer(200, one);
      (await server.next()).answer(200, one);
      await Promise.all(both);
    }
    expect(server.accepted).toBeLessThan(10);
    const before = server.accepted;
    const stop = new AbortController();
    const options = { resourceVersion: '1', timeoutSeconds: 300, signal: stop.signal };
    const pending = client.watch(CONFIG_MAPS, options)[Symbol.asyncIterator]().next();
    pending.catch(() => {});
    await server.next();
    expect(server.accepted).toBe(before + 1);
    stop.abort(new Error('enough'));
    await expect(pending).rejects.toThrow('enough');
  });

  test('R35: each says who it is', async () => {
    const got = open().get(CONFIG_MAPS, 'a', 'one');
    const request = await server.next();
    expect(request.headers['user-agent']).toMatch(/^sluice-test\/1\.2\.3 \(linux\/\w+\) abc$/);
    request.answer(200, one);
    await got;
  });
});

describe('errors', () => {
  test('a Status, HTML, nothing, half a Status: an ApiError of at most 512 bytes', async () => {
    const status = { kind: 'Status', reason: 'Invalid', message: 'x'.repeat(2000), code: 422 };
    const body = (value: unknown): Buffer => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
    expect(errorOf(422, {}, body(status))).toMatchObject({ status: 422, reason: 'Invalid' });
    expect(errorOf(422, {}, body(status)).message).toBe(`${'x'.repeat(509)}…`);
    expect(errorOf(502, {}, body('<html><h1>Bad\n  Gateway</h1></html>')).message).toBe('HTTP 502: Bad Gateway');
    expect(errorOf(503, { 'retry-after': '4' }, body(''))).toMatchObject({
      message: 'HTTP 503 without a body',
      reason: '',
      retryAfterMs: 4000,
    });
    expect(errorOf(409, {}, body('{"kind":"Status","rea'))).toMatchObject({ status: 409, reason: '' });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 4000 }),
          fc.string({ unit: 'binary', minLength: 300, maxLength: 900 }).map(body),
          fc.json().map(body),
        ),
        (bytes) => {
          const error = errorOf(500, {}, bytes);
          expect(Buffer.byteLength(error.message)).toBeLessThanOrEqual(512);
          expect(error.message.length).toBeGreaterThan(0);
          expect(error.message).not.toMatch(/\n/);
        },
      ),
      { numRuns },
    );
  });

  test('an answer that is no object, cut off or empty rejects', async () => {
    const client = open({ purpose: 'lease' });
    for (const [body, message] of [
      ['[]', 'answered no ConfigMap'],
      ['{"metadata"', 'about configmaps is no JSON'],
      ['', 'about configmaps is no JSON'],
    ] as const) {
      const got = client.get(CONFIG_MAPS, 'a', 'one');
      got.catch(() => {});
      (await server.next()).answer(200, body);
      await expect(got).rejects.toThrow(message);
    }
    const cut = client.get(CONFIG_MAPS, 'a', 'one');
    cut.catch(() => {});
    const request = await server.next();
    await request.write('{"metadata":{}');
    request.reset();
    await expect(cut).rejects.toThrow(/terminated|aborted|reset|closed/i);
  });
});
