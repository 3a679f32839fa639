// What a connection may do to who waits for it: be silent, be broken by an abort or a close, be closed by the server while idle.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openPlainConnections } from '../../src/kube/plain-connections.ts';
import { openTransport, type Transport } from '../../src/kube/transport.ts';
import { NO_RETRY } from '../../src/kube/transport-retry.ts';
import { SYSTEM_CLOCK } from '../../src/kube/timers.ts';
import { NO_METRICS } from '../../src/model/metrics.ts';
import { startScriptedServer, type ScriptedServer } from './scripted-server.ts';

const SILENCE_MS = 100;
const GET = { method: 'GET', path: '/x' } as const;

let server: ScriptedServer;
let transport: Transport;
beforeEach(async () => {
  server = await startScriptedServer();
  transport = openTransport({
    access: server.access,
    connections: openPlainConnections(server.access),
    userAgent: 'test',
    metrics: NO_METRICS,
    clock: SYSTEM_CLOCK,
    random: Math.random,
    timeoutMs: 10_000,
    retry: NO_RETRY,
    bodyBytesMax: 1000,
  });
});
afterEach(async () => {
  await transport.close();
  await server.stop();
});

async function textOf(stream: AsyncIterable<Uint8Array>, onText?: (text: string) => void): Promise<string> {
  let text = '';
  for await (const chunk of stream) {
    text += Buffer.from(chunk).toString();
    onText?.(text);
  }
  return text;
}

test('a stream without a head, and one that falls silent, are broken', async () => {
  const headless = transport.stream({ ...GET, timeoutMs: SILENCE_MS }, 60_000);
  headless.catch(() => {});
  const first = await server.next();
  await expect(headless).rejects.toThrow('nothing came for 0.1 s');
  await first.closed;

  const begun = transport.stream(GET, SILENCE_MS);
  const second = await server.next();
  await second.write('some');
  await expect(textOf(await begun)).rejects.toThrow('nothing came for 0.1 s');
  await second.closed;
});

test('an abort breaks a stream with its own reason, and nothing else', async () => {
  const stop = new AbortController();
  const [ours, other] = [transport.stream({ ...GET, signal: stop.signal }, 0), transport.stream(GET, 0)];
  const exchanges = [await server.next(), await server.next()];
  for (const exchange of exchanges) await exchange.write('a');
  const broken = textOf(await ours, () => stop.abort(new Error('enough')));
  await expect(broken).rejects.toThrow('enough');
  await Promise.race(exchanges.map(async ({ closed }) => closed));
  for (const exchange of exchanges) exchange.end();
  expect(await textOf(await other)).toBe('a');
});

test('a close breaks what runs and lets nothing begin', async () => {
  const asked = transport.request({ ...GET, idempotent: true });
  asked.catch(() => {});
  const exchange = await server.next();
  await transport.close();
  await expect(asked).rejects.toThrow('the client is closed');
  await exchange.closed;
  await expect(transport.request({ ...GET, idempotent: true })).rejects.toThrow('the client is closed');
});

test('a body has its length with it, whatever its letters', async () => {
  const asked = transport.request({ method: 'PUT', path: '/x', body: '{"a":"ü€𝄞"}', idempotent: true });
  const exchange = await server.next();
  expect([exchange.body, exchange.headers['content-length']]).toEqual(['{"a":"ü€𝄞"}', '17']);
  expect(exchange.headers['transfer-encoding']).toBeUndefined();
  exchange.answer(200, 'ok');
  expect((await asked).body.toString()).toBe('ok');
});

test('a lease client loads nothing of undici, and the client of all else does', async () => {
  const ask = (purpose: string): Promise<string> => {
    const script = `
      import { createRequire } from 'node:module';
      import { openKubeClient } from './src/kube/client.ts';
      const credentials = async () => ({ headers: {}, tls: { rejectUnauthorized: true }, tlsId: '' });
      const access = { server: ${JSON.stringify(server.url)}, credentials };
      const client = openKubeClient(access, { purpose: '${purpose}', userAgent: 'test' });
      console.log(await client.raw('GET', '/x'));
      console.log(Object.keys(createRequire(import.meta.url).cache).some((file) => file.includes('/undici/')));
      await client.close();`;
    const asked = promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
    return asked.then(({ stdout }) => stdout);
  };
  for (const [purpose, isLoaded] of [
    ['lease', false],
    ['main', true],
  ] as const) {
    const said = ask(purpose);
    (await server.next()).answer(200, 'ok');
    expect(await said).toBe(`ok\n${isLoaded}\n`);
  }
});
