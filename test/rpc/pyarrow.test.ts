// Arrow's own client against ours: nothing of what it needs is known to it but the address.
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { flightBackend } from '../../src/collector/flight.ts';
import { rowsOf } from '../../src/columns/batch.ts';
import { CATALOGUE } from '../../src/model/catalogue.ts';
import type { Cell } from '../../src/model/types.ts';
import { createFlightServer } from '../../src/rpc/flight-server.ts';
import type { RpcServer } from '../../src/rpc/server.ts';
import { tlsInMemory } from '../../src/rpc/tls.ts';
import { asText, flat, openOracle } from '../engine/duckdb.ts';
import { s } from '../runtime/harness.ts';
import { tableNode } from '../runtime/table-node.ts';
import { pyarrowMissing, python } from '../servers/pyarrow.ts';
import { createAuthority } from './certificates.ts';

if (pyarrowMissing !== undefined) process.stderr.write(`\nSKIPPED test/rpc/pyarrow: ${pyarrowMissing}\n`);

const PROGRAM = `
import json, sys
import pyarrow.flight as flight
address, what, folder = sys.argv[1], sys.argv[2], sys.argv[3]
options = {}
if folder:
    read = lambda name: open(folder + '/' + name, 'rb').read()
    options = dict(tls_root_certs=read('ca.crt'), cert_chain=read('tls.crt'), private_key=read('tls.key'),
                   override_hostname='sluice.example')
client = flight.connect(address, **options)
plain = lambda cell: cell.hex() if isinstance(cell, bytes) else str(cell) if not isinstance(cell, (bool, str)) else cell
def rows(table):
    columns = []
    for name in table.column_names:
        column = table[name].combine_chunks()
        if str(column.type).startswith('timestamp'):
            column = column.cast('int64')
        columns.append([plain(cell) for cell in column.to_pylist()])
    return [list(row) for row in zip(*columns)] if columns else []
if what == 'list':
    print(json.dumps([[info.descriptor.path[0].decode(), info.total_records, info.schema.names] for info in client.list_flights()]))
elif what == 'actions':
    print(json.dumps([action.type for action in client.list_actions()]))
elif what == 'action':
    print(json.dumps([result.body.to_pybytes().decode() for result in client.do_action(flight.Action(sys.argv[4], sys.argv[5].encode()))]))
elif what == 'get':
    descriptor = flight.FlightDescriptor.for_path(sys.argv[4])
    info = client.get_flight_info(descriptor)
    same = client.get_schema(descriptor).schema.equals(info.schema)
    ticket = info.endpoints[0].ticket
    table = client.do_get(ticket).read_all()
    chunks = 0
    metadata = None
    for chunk in client.do_get(ticket):
        if chunk.data is not None: chunks += 1
        if chunk.app_metadata is not None: metadata = json.loads(chunk.app_metadata.to_pybytes())
    print(json.dumps(dict(same=same, equal=table.schema.equals(info.schema), types=[str(field.type) for field in table.schema],
                          chunks=chunks, metadata=metadata, rows=rows(table))))
elif what == 'error':
    try:
        client.do_get(flight.Ticket(sys.argv[4].encode())).read_all()
        print('none')
    except Exception as error:
        print(type(error).__name__ + ' ' + str(error))
`;

(pyarrowMissing === undefined ? describe : describe.skip)('pyarrow', () => {
  const node = tableNode('node-1', s(0));
  const ca = createAuthority();
  const folder = mkdtempSync(join(tmpdir(), 'sluice-pyarrow-'));
  let server: RpcServer;
  let secure: RpcServer;

  beforeAll(async () => {
    const options = {
      listen: '127.0.0.1:0',
      namespace: 'sluice-system',
      onRefused: () => undefined,
      onFault: () => undefined,
    };
    const backend = flightBackend({ node, tables: node.tables });
    server = await createFlightServer(backend, { ...options, tls: undefined });
    // pyarrow looks at host names, so this one has one beside its URI
    const collector = ca.role('collector', { dns: ['sluice.example'] });
    secure = await createFlightServer(backend, { ...options, tls: tlsInMemory(collector) });
    const { certificate, key, ca: bundle } = ca.role('runtime');
    writeFileSync(join(folder, 'tls.crt'), certificate);
    writeFileSync(join(folder, 'tls.key'), key);
    writeFileSync(join(folder, 'ca.crt'), bundle);
    // several segments, some columns repeating and some not, and bytes that are no text
    for (let i = 0; i < 70_000; i++) {
      node.http(s(i / 1000), {
        req_path: `/path/${i % 7}`,
        resp_body: i === 5 ? Uint8Array.of(0x61, 0xff) : `${i}`,
        latency: BigInt(i),
        upid: { high: BigInt(i % 3), low: 2n ** 63n + BigInt(i) },
      });
    }
  });
  afterAll(async () => {
    await server.close(0);
    await secure.close(0);
    rmSync(folder, { recursive: true });
  });
  const ask = async (...args: string[]): Promise<unknown> =>
    JSON.parse(await python(PROGRAM, [`grpc://127.0.0.1:${server.port}`, args[0] ?? '', '', ...args.slice(1)]));

  test('lists tables, actions, and what they answer', async () => {
    expect(await ask('list')).toEqual(
      CATALOGUE.map(({ name, columns }) => [
        name,
        name === 'http_events' ? 70_000 : 0,
        columns.map((column) => column.name),
      ]),
    );
    expect(await ask('actions')).toEqual(['state', 'watermark', 'loss']);
    const [state] = (await ask('action', 'state', '')) as [string];
    expect(JSON.parse(state)).toMatchObject({ startTime: String(s(0)), blind: [] });
    node.advance(s(100));
    const mark = JSON.stringify({ version: 1, tables: ['http_events'], time: String(s(100)) });
    expect(await ask('action', 'watermark', mark)).toEqual(['{}']);
  });

  test('reads a table whose rows are those that the node and DuckDB have', async () => {
    const schema = CATALOGUE.find(({ name }) => name === 'http_events')?.columns ?? [];
    const got = (await ask('get', 'http_events')) as {
      same: boolean;
      equal: boolean;
      types: string[];
      chunks: number;
      metadata: object;
      rows: unknown[][];
    };
    expect(got).toMatchObject({ same: true, equal: true, metadata: { end: true, rowsRead: 70_000 } });
    expect(got.chunks).toBeGreaterThan(1);
    expect(got.types[schema.findIndex(({ name }) => name === 'req_path')]).toMatch(/^dictionary<values=string/);
    const columns = schema.map(({ name }) => name);
    const here = [...node.tables.snapshot('http_events', { columns })].flatMap(rowsOf);
    const hex = (word: bigint): string => word.toString(16).padStart(16, '0');
    const plain = (cell: Cell): unknown => {
      if (typeof cell === 'object' && 'high' in cell) return hex(cell.high) + hex(cell.low);
      return typeof cell === 'bigint' || typeof cell === 'number' ? String(cell) : cell;
    };
    expect(got.rows).toEqual(here.map((row) => row.map(plain)));
    expect(got.rows[5]?.[schema.findIndex(({ name }) => name === 'resp_body')]).toBe('a\uFFFD');
    const oracle = await openOracle();
    await oracle.load('here', { schema, rows: here });
    const there = got.rows.map((row) => [
      BigInt(String(row[0])),
      row[columns.indexOf('req_path')],
      BigInt(String(row[columns.indexOf('latency')])),
    ]);
    await oracle.load('there', {
      schema: ['time_', 'req_path', 'latency'].flatMap((name) => schema.find((column) => column.name === name) ?? []),
      rows: there as Cell[][],
    });
    const summary = (table: string): string =>
      `SELECT req_path, count(*), sum(latency)::BIGINT, max(time_) FROM ${table} GROUP BY req_path ORDER BY req_path`;
    expect(asText(await oracle.query(summary('there')))).toEqual(asText(await oracle.query(summary('here'))));
    expect(flat(here)).toHaveLength(70_000);
    oracle.close();
  });

  test('reads an empty table, and gets errors as what they are', async () => {
    expect(await ask('get', 'conn_stats')).toMatchObject({
      equal: true,
      chunks: 0,
      rows: [],
      metadata: { rowsRead: 0 },
    });
    const error = (ticket: string): Promise<string> =>
      python(PROGRAM, [`grpc://127.0.0.1:${server.port}`, 'error', '', ticket]);
    expect(await error('nope')).toMatch(/^(ArrowKeyError|KeyError|FlightError|ArrowInvalid).*no table "nope"/);
    expect(await error('{"version":1}')).toMatch(/the ticket is wrong/);
  });

  test('reads over mutual TLS as the runtime, and is refused as nobody', async () => {
    const there = `grpc+tls://127.0.0.1:${secure.port}`;
    const list = JSON.parse(await python(PROGRAM, [there, 'list', folder])) as unknown[];
    expect(list).toHaveLength(CATALOGUE.length);
    await expect(python(PROGRAM, [there, 'list', ''])).rejects.toThrow(/Flight|certificate|TLS|SSL/);
  });
});
