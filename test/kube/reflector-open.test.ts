// R4: when the reflector says that its server is back. Real sockets, answers by hand.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openKubeClient, type OpenKubeClient } from '../../src/kube/client.ts';
import { startReflector } from '../../src/kube/reflector.ts';
import { CONFIG_MAPS } from '../../src/kube/resources.ts';
import { startScriptedServer, type ScriptedServer } from './scripted-server.ts';

let server: ScriptedServer;
let client: OpenKubeClient;
const stop = new AbortController();

beforeEach(async () => {
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
  const empty = { kind: 'ConfigMapList', apiVersion: 'v1', metadata: { resourceVersion: '10' }, items: [] };
  (await server.next()).answer(200, empty);
  (await server.next()).reset();
  const again = await server.next();
  // asked for is not answered
  expect(store.state()).toMatchObject({ phase: 'Watching', lastError: { reason: 'Connection' } });
  again.open();
  await recovered;
  expect([store.state().lastError, changes]).toEqual([undefined, 0]);
});
