import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerCredentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { encodeOtlp } from '../../../src/exporters/otlp/encode.ts';
import { grpcSender } from '../../../src/exporters/otlp/grpc-send.ts';
import type { SendOutcome } from '../../../src/exporters/sender.ts';
import type { Destination, DestinationTls } from '../../../src/model/destination.ts';
import { metric } from '../telemetry.ts';
import { makeAuthority, type Authority, type Leaf } from './certificates.ts';
import { destination } from './destination.ts';
import { scriptedServer, type ScriptedServer } from './scripted-server.ts';

const HOST = 'collector.example';
const folder = mkdtempSync(join(tmpdir(), 'sluice-tls-'));
let ca: Authority;
let otherCa: Authority;
let client: Leaf;
let strangersClient: Leaf;
let server: ScriptedServer;
let mutual: ScriptedServer;

beforeAll(async () => {
  ca = makeAuthority(folder, 'ca');
  otherCa = makeAuthority(folder, 'other');
  const { certificate, key } = ca.issue('server', `DNS:${HOST}`);
  client = ca.issue('client', 'DNS:client.example');
  strangersClient = otherCa.issue('stranger', 'DNS:client.example');
  const pair = [{ cert_chain: Buffer.from(certificate), private_key: Buffer.from(key) }];
  server = await scriptedServer(() => ({ kind: 'ok' }), ServerCredentials.createSsl(null, pair));
  const trusted = Buffer.from(ca.certificate);
  mutual = await scriptedServer(() => ({ kind: 'ok' }), ServerCredentials.createSsl(trusted, pair, true));
});

afterAll(() => {
  server.close();
  mutual.close();
  rmSync(folder, { recursive: true });
});

/** One request to `host`, which is connected to `to`. */
async function send(
  to: ScriptedServer,
  tls: Partial<DestinationTls>,
  changes: Partial<Destination> = {},
): Promise<SendOutcome> {
  const endpoint = `${HOST}:4317`;
  const given = destination({
    endpoint,
    timeoutMs: 5000,
    tls: { mode: 'TLS', insecureSkipVerify: false, ...tls },
    ...changes,
  });
  const connectTo = new Map([[given.endpoint.replace(/^https?:\/\//, ''), to.endpoint]]);
  const sender = grpcSender(given, { connectTo });
  const [request] = encodeOtlp([metric(1)]).requests;
  if (request === undefined) throw new Error('no request');
  const outcome = await sender.send(request, new AbortController().signal);
  sender.close();
  return outcome;
}

const sent = { status: 'sent', rejected: 0 };
const failed = (reason: string) => ({ status: 'retry', code: 'UNAVAILABLE', message: expect.stringContaining(reason) });

test("a server whose certificate is the CA's and names the endpoint's host is sent to", async () => {
  expect(await send(server, { ca: ca.certificate })).toEqual(sent);
});

test('the scheme of the endpoint wins over the mode', async () => {
  expect(await send(server, { mode: 'Plaintext', ca: ca.certificate }, { endpoint: `https://${HOST}:4317` })).toEqual(
    sent,
  );
});

test("a certificate of another CA, or of none of the system's roots, is refused", async () => {
  expect(await send(server, { ca: otherCa.certificate })).toEqual(failed('unable to verify'));
  expect(await send(server, {})).toEqual(failed('unable to verify'));
});

test('a certificate for another name is refused, and serverName says which name is expected', async () => {
  const elsewhere = { endpoint: 'otel.example:4317' };
  expect(await send(server, { ca: ca.certificate }, elsewhere)).toEqual(failed('otel.example'));
  expect(await send(server, { ca: ca.certificate, serverName: HOST }, elsewhere)).toEqual(sent);
  expect(await send(server, { ca: ca.certificate, serverName: 'wrong.example' })).toEqual(failed('wrong.example'));
});

test('insecureSkipVerify takes any certificate', async () => {
  expect(await send(server, { insecureSkipVerify: true }, { endpoint: 'anything.example:4317' })).toEqual(sent);
});

test('a server that wants a client certificate gets ours, and refuses none or a foreign one', async () => {
  expect(await send(mutual, { ca: ca.certificate, clientCertificate: client })).toEqual(sent);
  expect(await send(mutual, { ca: ca.certificate })).toMatchObject({ status: 'retry' });
  expect(await send(mutual, { ca: ca.certificate, clientCertificate: strangersClient })).toMatchObject({
    status: 'retry',
  });
});

test('plaintext to a server with TLS, and TLS to one without, is an outcome', async () => {
  expect(await send(server, { mode: 'Plaintext' })).toMatchObject({ status: 'retry', code: 'UNAVAILABLE' });
  const plain = await scriptedServer(() => ({ kind: 'ok' }));
  expect(await send(plain, { ca: ca.certificate })).toMatchObject({ status: 'retry', code: 'UNAVAILABLE' });
  plain.close();
});

test('certificates that are no certificates are named as such, without their text', async () => {
  const outcome = await send(server, { clientCertificate: { certificate: 'not PEM', key: 'hunter2' } });
  expect(outcome).toMatchObject({ status: 'retry', code: 'INVALID_TLS' });
  expect(JSON.stringify(outcome)).not.toContain('hunter2');
});
