import { once } from 'node:events';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { isLoopback, parseListen } from '../../src/rpc/server.ts';
import { checkMaterial, tlsFromFolder, tlsInMemory, type TlsMaterial } from '../../src/rpc/tls.ts';
import { createAuthority, type Authority } from './certificates.ts';
import { ECHO, echoChannel, echoServer, SLOW, type EchoServer } from './echo.ts';

let ca: Authority;
let otherCa: Authority;
let runtime: TlsMaterial;
let operator: TlsMaterial;
let server: EchoServer;
const hello = Buffer.from('hello');
const HOUR_MS = 3_600_000;

beforeAll(() => {
  [ca, otherCa] = [createAuthority(), createAuthority('other')];
  [runtime, operator] = [ca.role('runtime'), ca.role('operator')];
});

// of its own for each test: clients that were refused try again for a while
beforeEach(async () => {
  server = await echoServer(tlsInMemory(runtime));
});

afterEach(async () => {
  await server.close(0);
});

/** One call; the error as text where it fails. */
async function call(material: TlsMaterial | undefined, more: Parameters<typeof echoChannel>[2] = {}): Promise<string> {
  const channel = echoChannel(server.port, material === undefined ? undefined : tlsInMemory(material), more);
  try {
    return (await channel.unary(ECHO, hello, { timeoutMs: 10_000 })).toString();
  } catch (error) {
    return error instanceof Error && 'code' in error ? `${String(error.code)} ${error.message}` : String(error);
  } finally {
    channel.close();
  }
}

test('X13: the role that may call is answered', async () => {
  expect(await call(operator)).toBe('hello');
  expect(server.refused).toEqual([]);
});

test.each([
  ['another role', () => ca.role('collector'), 'sa/sluice-collector may not call'],
  [
    'the role of another namespace',
    () => ca.leaf({ uris: ['spiffe://sluice/ns/shop/sa/sluice-operator'] }),
    'ns/shop/sa/sluice-operator may not call',
  ],
])('X13: %s is refused by name and counted', async (_, material, message) => {
  expect(await call(material())).toMatch(new RegExp(`^PERMISSION_DENIED .*${message}`));
  expect(server.refused).toEqual([['Forbidden', expect.stringContaining('spiffe://')]]);
});

test.each([
  ['of another CA', () => otherCa.role('operator', { ca: ca.certificate }), 'Certificate', 'DEPTH_ZERO|UNABLE'],
  [
    'that has expired',
    () => ca.role('operator', { notBeforeMs: Date.now() - 2 * HOUR_MS, notAfterMs: Date.now() - HOUR_MS }),
    'Certificate',
    'CERT_HAS_EXPIRED',
  ],
  [
    'that is not valid yet',
    () => ca.role('operator', { notBeforeMs: Date.now() + HOUR_MS, notAfterMs: Date.now() + 2 * HOUR_MS }),
    'Certificate',
    'CERT_NOT_YET_VALID',
  ],
])('X13: a certificate %s gets no connection and is counted', async (_, make, reason, detail) => {
  // past our own look at the date
  expect(await call(make(), { nowMs: () => 0 })).toMatch(/^UNAVAILABLE /);
  await server.refusals(1);
  expect(server.refused[0]).toEqual([reason, expect.stringMatching(detail)]);
});

/** What becomes of a raw TLS connection with these options: `open` or `closed`. */
async function raw(options: object): Promise<string> {
  const socket = connectTls({
    port: server.port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ALPNProtocols: ['h2'],
    ...options,
  });
  socket.on('error', () => undefined);
  const open = new Promise<string>((resolve) => {
    // HTTP/2 servers speak first, once the connection is theirs
    socket.once('data', () => resolve('open'));
  });
  const closed = new Promise<string>((resolve) => socket.once('close', () => resolve('closed')));
  const result = await Promise.race([open, closed]);
  socket.destroy();
  return result;
}

test('X13: no certificate, no URI, two URIs, other HTTP, older TLS: no connection, each counted', async () => {
  const leaf = (uris: readonly string[]) => {
    const { certificate: cert, key } = ca.leaf({ uris });
    return { cert, key };
  };
  const good = { cert: operator.certificate, key: operator.key };
  const uri = 'spiffe://sluice/ns/sluice-system/sa/sluice-operator';
  expect(await raw(good)).toBe('open');
  expect(await raw({})).toBe('closed');
  expect(await raw(leaf([]))).toBe('closed');
  expect(await raw(leaf([uri, 'spiffe://sluice/ns/a/b']))).toBe('closed');
  expect(await raw(leaf(['spiffe://other/ns/sluice-system/sa/sluice-operator']))).toBe('closed');
  expect(await raw({ ...good, ALPNProtocols: [] })).toBe('closed');
  expect(await raw({ ...good, maxVersion: 'TLSv1.2' })).toBe('closed');
  await server.refusals(6);
  expect(server.refused.map(([reason]) => reason)).toEqual([
    'Certificate',
    'NoIdentity',
    'NoIdentity',
    'NoIdentity',
    'Handshake',
    'Handshake',
  ]);
});

test('X13: plain text gets nothing', async () => {
  const socket = connectTcp(server.port, '127.0.0.1');
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  socket.resume();
  await once(socket, 'close');
  await server.refusals(1);
  expect(server.refused).toEqual([['Handshake', expect.any(String)]]);
  expect(await call(undefined)).toMatch(/^UNAVAILABLE /);
});

test('X13: a client calls only who it expects, by URI and not by host name', async () => {
  const isOther = { isServer: () => false };
  expect(await call(operator, isOther)).toMatch(
    /UNAVAILABLE .*the server is spiffe:.*sluice-runtime, which is not who/,
  );
  expect(await call({ ...operator, ca: otherCa.certificate })).toMatch(
    /UNAVAILABLE .*(unable to verify|self-signed|signature)/,
  );
  const expired = await echoServer(
    tlsInMemory(ca.role('runtime', { notBeforeMs: Date.now() - 2 * HOUR_MS, notAfterMs: Date.now() - HOUR_MS })),
  );
  const channel = echoChannel(expired.port, tlsInMemory(operator));
  await expect(channel.unary(ECHO, hello, { timeoutMs: 10_000 })).rejects.toThrow(/certificate has expired/);
  channel.close();
  await expired.close(0);
});

test('our own expired certificate is said to be that, before anything is sent', async () => {
  const late = { nowMs: () => Date.now() + 2 * HOUR_MS };
  expect(await call(operator, late)).toMatch(/our own certificate \(spiffe:.*sluice-operator\) has expired at 20/);
});

test('X13: certificates, and the CA, change under load without a failed call; calls under way end well', async () => {
  const next = createAuthority('next');
  const both = `${ca.certificate}\n${next.certificate}`;
  const [serverTls, clientTls] = [tlsInMemory(runtime), tlsInMemory(operator)];
  const rotating = await echoServer(serverTls);
  const channel = echoChannel(rotating.port, clientTls);
  const slow = channel.unary(SLOW, Buffer.from('slow'));
  await rotating.slowBegun;
  const load = { isOver: false, answered: 0 };
  const workers = Array.from({ length: 8 }, async () => {
    while (!load.isOver) {
      expect((await channel.unary(ECHO, hello, { timeoutMs: 20_000 })).toString()).toBe('hello');
      load.answered++;
    }
  });
  const more = async (): Promise<void> => {
    for (const target = load.answered + 50; load.answered < target;) await channel.unary(ECHO, hello);
  };
  await more();
  // as the operator does it: the new CA is trusted everywhere first, then it signs, then the old one is dropped
  for (const step of [
    { server: { ...runtime, ca: both }, client: { ...operator, ca: both } },
    { server: next.role('runtime', { ca: both }), client: next.role('operator', { ca: both }) },
    { server: next.role('runtime'), client: next.role('operator') },
  ]) {
    serverTls.set(step.server);
    clientTls.set(step.client);
    await more();
  }
  load.isOver = true;
  await Promise.all(workers);
  expect(rotating.refused).toEqual([]);
  rotating.release();
  expect((await slow).toString()).toBe('slow');
  // the old CA is nobody any more
  const old = echoChannel(rotating.port, tlsInMemory(operator));
  await expect(old.unary(ECHO, hello, { timeoutMs: 5000 })).rejects.toThrow(/UNAVAILABLE|established/);
  old.close();
  channel.close();
  await rotating.close(0);
});

test('close waits for calls, up to its grace', async () => {
  const one = await echoServer(undefined);
  const channel = echoChannel(one.port, undefined);
  const slow = channel.unary(SLOW, hello);
  await one.slowBegun;
  const closing = one.close(60_000);
  one.release();
  expect((await slow).toString()).toBe('hello');
  await closing;
  const two = await echoServer(undefined);
  const other = echoChannel(two.port, undefined);
  const never = other.unary(SLOW, hello);
  await two.slowBegun;
  await Promise.all([expect(never).rejects.toThrow(/the test server/), two.close(1)]);
  channel.close();
  other.close();
});

function writeSet(folder: string, name: string, { certificate, key, ca: bundle }: TlsMaterial): void {
  mkdirSync(join(folder, name));
  writeFileSync(join(folder, name, 'tls.crt'), certificate);
  writeFileSync(join(folder, name, 'tls.key'), key);
  writeFileSync(join(folder, name, 'ca.crt'), bundle);
}

/** As kubelet does it: the data in a new folder, a symbolic link to it put in place by a rename. */
function mount(folder: string, name: string): void {
  symlinkSync(name, join(folder, '..data_tmp'));
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
}

test('a mounted Secret is followed through its symbolic link; what does not fit together is left', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-tls-'));
  writeSet(folder, '..1', runtime);
  mount(folder, '..1');
  for (const file of ['tls.crt', 'tls.key', 'ca.crt']) symlinkSync(`..data/${file}`, join(folder, file));
  const faults: string[] = [];
  const fault = Promise.withResolvers<void>();
  const source = await tlsFromFolder(folder, {
    onFault: (error) => {
      faults.push(error.message);
      fault.resolve();
    },
    pollMs: 50,
  });
  expect(source.current()).toEqual(runtime);
  // certificate of one, key of another
  writeSet(folder, '..2', { ...operator, key: runtime.key });
  mount(folder, '..2');
  await fault.promise;
  expect(faults).toEqual([expect.stringContaining('do not fit together')]);
  expect(source.current()).toEqual(runtime);
  const changed = new Promise<TlsMaterial>((resolve) => void source.subscribe(resolve));
  writeSet(folder, '..3', operator);
  mount(folder, '..3');
  expect(await changed).toEqual(operator);
  expect(source.current()).toEqual(operator);
  source.close();
  rmSync(folder, { recursive: true });
  await expect(tlsFromFolder(folder, { onFault: () => undefined })).rejects.toThrow(/tls\.crt cannot be read/);
});

test('material without an identity, or in pieces, is refused with what is wrong', async () => {
  expect(checkMaterial(runtime).identity.namespace).toBe('sluice-system');
  expect(() => checkMaterial({ ...runtime, certificate: 'x' })).toThrow(/do not fit together/);
  const { certificate, key } = ca.leaf({ dns: ['runtime.example'] });
  expect(() => tlsInMemory({ certificate, key, ca: ca.certificate })).toThrow(/no single URI SAN/);
});

test('addresses to listen on', () => {
  expect(parseListen(':7444')).toEqual({ host: undefined, port: 7444 });
  expect(parseListen('127.0.0.1:0')).toEqual({ host: '127.0.0.1', port: 0 });
  expect(parseListen('[::1]:1')).toEqual({ host: '::1', port: 1 });
  // a host without IPv6 has every address all the same
  expect(parseListen('[::]:7444')).toEqual({ host: undefined, port: 7444 });
  for (const bad of ['7444', 'a:b', '::1:80', ':70000', '']) expect(() => parseListen(bad)).toThrow(/HOST:PORT/);
  expect(['127.0.0.1', '127.9.9.9', '::1', 'localhost'].every(isLoopback)).toBe(true);
  expect([undefined, '0.0.0.0', '10.0.0.1', '::', '127.example.com'].some(isLoopback)).toBe(false);
});
