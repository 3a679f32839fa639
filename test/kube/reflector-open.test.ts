// R4, R5: what counts as a sign of life of the server. Real sockets, answers by hand.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openKubeClient, type OpenKubeClient } from '../../src/kube/client.ts';
import { startReflector } from '../../src/kube/reflector.ts';
import { CONFIG_MAPS } from '../../src/kube/resources.ts';
import { startScriptedServer, type ScriptedServer } from './scripted-server.ts';
import { createVirtualClock } from './virtual-clock.ts';

const empty = { kind: 'ConfigMapList', apiVersion: 'v1', metadata: { resourceVersion: '10' }, items: [] };

let server: ScriptedServer;
let client: OpenKubeClient;
let stop: AbortController;

beforeEach(async () => {
  stop = new AbortController();
  server = await startScriptedServer();
  client = openKubeClient(server.access, { purpose: 'lease', userAgent: 'test' });
});
afterEach(async () => {
  stop.abort();
  await client.close();
  await server.stop();
});

test('R4: a watch that was opened shows it, before there is any event', async () => {
  const { promise: recovered, resolve } = Promise.withResolvers<void>();
  const store = startReflector({
    client,
    type: CONFIG_MAPS,
    signal: stop.signal,
    random: () => 0,
    onRecovered: resolve,
  });
  let changes = 0;
  store.onChange(() => changes++);
  (await server.next()).answer(200, empty);
  (await server.next()).reset();
  const again = await server.next();
  // asked for is not answered
  expect(store.state()).toMatchObject({ phase: 'Watching', lastError: { reason: 'Connection' } });
  again.open();
  await recovered;
  expect([store.state().lastError, changes]).toEqual([undefined, 0]);
});

test('R5: an event that comes in pieces, half a minute and more apart, is no silence', async () => {
  const clock = createVirtualClock();
  const errors: unknown[] = [];
  let heard = Promise.withResolvers<void>();
  const counting = {
    ...client,
    watch: ((type, options) =>
      client.watch(type, {
        ...options,
        onHeard: () => {
          options.onHeard?.();
          heard.resolve();
        },
      })) as OpenKubeClient['watch'],
  };
  const store = startReflector({
    client: counting,
    type: CONFIG_MAPS,
    signal: stop.signal,
    clock,
    random: () => 0,
    onError: (error) => errors.push(error),
  });
  const { promise: came, resolve } = Promise.withResolvers<void>();
  store.onChange(() => resolve());
  (await server.next()).answer(200, empty);
  const watch = await server.next();
  const object = { metadata: { namespace: 'a', name: 'one', uid: 'u', resourceVersion: '11' } };
  const line = `${JSON.stringify({ type: 'ADDED', object })}\n`;
  watch.open();
  await heard.promise;
  for (let at = 0; at < line.length; at += 20) {
    heard = Promise.withResolvers<void>();
    await watch.write(line.slice(at, at + 20));
    await heard.promise;
    await clock.settle(60_000);
  }
  await came;
  expect([store.get('a', 'one')?.metadata.resourceVersion, errors]).toEqual(['11', []]);
});
