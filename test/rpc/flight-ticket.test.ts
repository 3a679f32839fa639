import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { flightBackend } from '../../src/collector/flight.ts';
import { encodeFragment } from '../../src/plan/codec.ts';
import type { Operator } from '../../src/plan/plan.ts';
import { openChannel, type Channel } from '../../src/rpc/channel.ts';
import { decodeFlightData, TICKET } from '../../src/rpc/flight-messages.ts';
import { createFlightServer, FLIGHT_SERVICE } from '../../src/rpc/flight-server.ts';
import type { RpcServer } from '../../src/rpc/server.ts';
import { s } from '../runtime/harness.ts';
import { tableNode } from '../runtime/table-node.ts';

const node = tableNode('node-1', s(0));
const faults: unknown[] = [];
let server: RpcServer;
let channel: Channel;

const HTTP: Operator = {
  kind: 'source',
  table: 'http_events',
  columns: ['time_', 'req_path'],
  schema: [
    { name: 'time_', type: 'TIME64NS', semanticType: 'ST_NONE' },
    { name: 'req_path', type: 'STRING', semanticType: 'ST_NONE' },
  ],
};

beforeAll(async () => {
  node.http(s(1), { req_path: '/a' });
  server = await createFlightServer(flightBackend({ node, tables: node.tables }), {
    listen: '127.0.0.1:0',
    tls: undefined,
    namespace: 'sluice-system',
    onRefused: (...refusal) => void faults.push(refusal),
    onFault: (...fault) => void faults.push(fault),
  });
  channel = openChannel({
    address: `127.0.0.1:${server.port}`,
    tls: undefined,
    isServer: () => true,
    peer: 'the collector',
  });
});

afterAll(async () => {
  channel.close();
  await server.close(0);
});

test('tickets from anybody: refused with what is wrong, whatever they are', async () => {
  const get = async (ticket: Uint8Array): Promise<string> => {
    const stream = channel.stream(`${FLIGHT_SERVICE}/DoGet`);
    stream.send(TICKET.encode({ ticket }));
    try {
      for await (const message of stream.replies) decodeFlightData(message);
      return 'OK';
    } catch (error) {
      return error instanceof Error && 'code' in error ? `${String(error.code)} ${error.message}` : String(error);
    }
  };
  const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
  const fragment = encodeFragment(HTTP);
  expect(await get(Buffer.from('http_events'))).toBe('OK');
  expect(await get(json({ version: 1, scope: '*', table: 'http_events' }))).toBe('OK');
  expect(await get(json({ version: 1, scope: '*', fragment }))).toBe('OK');
  expect(await get(Buffer.from('nope'))).toMatch(/^NOT_FOUND .*no table "nope"/);
  expect(await get(json({ version: 1, fragment }))).toMatch(/^INVALID_ARGUMENT .*scope/);
  expect(await get(json({ version: 1, scope: 'A b', fragment }))).toMatch(/^INVALID_ARGUMENT .*scope/);
  expect(await get(json({ version: 2, scope: '*', fragment }))).toMatch(/version 2, this collector knows 1/);
  expect(await get(json({ version: 1, scope: '*', fragment: '{}' }))).toMatch(/^INVALID_ARGUMENT .*wrong shape/);
  const garbled = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
    fc.json().map((text) => Buffer.from(text)),
    fc.tuple(fc.nat(), fc.nat(255)).map(([at, byte]) => {
      const ticket = json({ version: 1, scope: '*', fragment });
      ticket[at % ticket.length] = byte;
      return ticket;
    }),
    fc.record({ version: fc.constant(1), scope: fc.string(), fragment: fc.json() }).map(json),
  );
  await fc.assert(
    fc.asyncProperty(garbled, async (ticket) => {
      expect(await get(ticket)).toMatch(/^(OK|INVALID_ARGUMENT|NOT_FOUND|FAILED_PRECONDITION)/);
    }),
    { numRuns: Number(process.env['SLUICE_FUZZ_RUNS'] ?? 200) },
  );
  expect(faults).toEqual([]);
});
