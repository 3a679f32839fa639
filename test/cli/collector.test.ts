// `sluice collector` as it is started on a node, beside a probe that says what the test wants.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { rowsOf } from '../../src/columns/batch.ts';
import { timeNs } from '../../src/model/time.ts';
import type { Operator } from '../../src/plan/plan.ts';
import { openRemoteNode } from '../../src/rpc/flight-node.ts';
import { isRole } from '../../src/rpc/identity.ts';
import { tlsInMemory, type TlsMaterial } from '../../src/rpc/tls.ts';
import {
  clock,
  drained,
  id,
  join as bytes,
  MS,
  open,
  opening,
  received,
  SECOND,
  sent,
  START,
  wall,
} from '../collector/stream.ts';
import { createAuthority } from '../rpc/certificates.ts';
import { fakeProbe, startRoleProcess, writeTls, type FakeProbe, type RoleProcess } from './roles.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-collector-'));
const socket = join(folder, 'probe.sock');
const ca = createAuthority();
const tlsFolder = writeTls(join(folder, 'tls'), ca.role('collector'));
const readerFolder = writeTls(join(folder, 'reader'), ca.role('runtime'));
const never = new AbortController().signal;
let probe: FakeProbe;
let collector: RoleProcess;

const REQUEST = 'GET /cart HTTP/1.1\r\nHost: a\r\n\r\n';
const RESPONSE = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const AT = START + SECOND;
const traffic = bytes(
  opening(),
  open(),
  received(REQUEST, 0, AT, id()),
  sent(RESPONSE, 0, AT + 3 * MS, id()),
  clock(START + 3 * SECOND),
  drained(START + 3 * SECOND),
);

const HTTP: Operator = {
  kind: 'source',
  table: 'http_events',
  columns: ['time_', 'req_path', 'resp_status'],
  schema: [
    { name: 'time_', type: 'TIME64NS', semanticType: 'ST_NONE' },
    { name: 'req_path', type: 'STRING', semanticType: 'ST_NONE' },
    { name: 'resp_status', type: 'INT64', semanticType: 'ST_NONE' },
  ],
};

function reader(material: TlsMaterial) {
  return openRemoteNode({
    name: 'node-1',
    address: `127.0.0.1:${collector.port}`,
    tls: tlsInMemory(material),
    isServer: (identity) => isRole(identity, 'sluice-system', 'collector'),
  });
}

async function ask(material: TlsMaterial, scope = '*'): Promise<unknown[]> {
  const node = reader(material);
  const rows: unknown[] = [];
  try {
    for await (const event of node.query(HTTP, { scope, signal: never }))
      if (event.kind === 'batch') rows.push(...rowsOf(event.batch));
    return rows;
  } finally {
    node.close();
  }
}

beforeAll(async () => {
  probe = fakeProbe(socket, traffic);
  const env = { SLUICE_TLS: tlsFolder, SLUICE_SOCKET: socket, POD_NAMESPACE: 'sluice-system' };
  collector = await startRoleProcess('collector', ['--flight-address', '127.0.0.1:0'], env);
});

afterAll(async () => {
  collector.kill();
  await probe.close();
  rmSync(folder, { recursive: true });
});

test('is alive without its probe, and ready once the first rows are complete', async () => {
  expect((await collector.get('/livez')).status).toBe(200);
  expect(await collector.get('/readyz')).toMatchObject({
    status: 503,
    body: expect.stringMatching(/\[-\]probe ProbeNotRunning/),
  });
  await probe.listen();
  await collector.ready();
});

test('answers the runtime with the rows of what its probe saw', async () => {
  const node = reader(ca.role('runtime'));
  const until = timeNs(wall(START + 2 * SECOND));
  await node.waitForWatermark(['http_events'], until, never);
  expect(await node.state(never)).toMatchObject({ startTime: wall(START), blind: expect.any(Array) });
  expect(await node.loss(['http_events'], timeNs(wall(START)), until, never)).toMatchObject({ exchangesLost: 0 });
  node.close();
  expect(await ask(ca.role('runtime'))).toEqual([[wall(AT + 3 * MS), '/cart', 200n]]);
});

test('refuses and counts all others, and shows it', async () => {
  await expect(ask(ca.role('operator'))).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  await expect(ask(createAuthority('other').role('runtime', { ca: ca.certificate }))).rejects.toMatchObject({
    code: 'UNAVAILABLE',
  });
  const { body } = await collector.get('/metrics');
  expect(body).toMatch(/sluice_rpc_refused_total\{reason="Forbidden"\} 1/);
  expect(body).toMatch(/sluice_rpc_refused_total\{reason="Certificate"\} [1-9]/);
  expect(collector.log()).toContainEqual(
    expect.objectContaining({ level: 'warn', role: 'collector', message: 'a caller was refused', reason: 'Forbidden' }),
  );
});

test('sluice run and sluice tables read a running collector', () => {
  const sluice = (...args: string[]) =>
    spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', 'src/main.ts', ...args], {
      encoding: 'utf8',
      input:
        "import px\ndf = px.DataFrame('http_events', start_time=px.plugin.start_time)\npx.display(df[['req_path', 'resp_status']])\n",
    });
  const from = ['--from', `grpc://127.0.0.1:${collector.port}`, '--tls', readerFolder];
  // the made-up probe's clock is not this host's
  const window = ['--start', String(wall(START)), '--end', String(wall(START + 10 * SECOND))];
  const run = sluice('run', '-', ...from, ...window, '--format', 'ndjson');
  expect([run.stderr, run.status]).toEqual(['', 0]);
  expect(JSON.parse(run.stdout.split('\n')[0] ?? '')).toMatchObject({ req_path: '/cart', resp_status: 200 });
  const tables = sluice('tables', ...from);
  expect(tables.stdout).toMatch(/http_events \(1 rows\)/);
  const nobody = sluice('run', '-', '--from', `grpc://127.0.0.1:${collector.port}`);
  expect(nobody.status).toBe(1);
  expect(nobody.stderr).toMatch(/sluice run: node 127\.0\.0\.1:\d+ .*: /);
  expect(sluice('run', '-', '--from', 'grpc://nowhere').status).toBe(2);
});

test('X13: new certificates serve without a restart', async () => {
  const next = createAuthority('next');
  writeTls(tlsFolder, { ...next.role('collector'), ca: `${ca.certificate}\n${next.certificate}` });
  const trustsNew = { ...ca.role('runtime'), ca: next.certificate };
  let rows: unknown[] | undefined;
  while (rows === undefined) rows = await ask(trustsNew).catch(() => undefined);
  expect(rows).toHaveLength(1);
  expect(collector.log()).toContainEqual(expect.objectContaining({ message: 'certificates have changed' }));
});

test('ends at SIGTERM with status 0', async () => {
  expect(await collector.stop()).toBe(0);
  expect(collector.log().at(-1)).toMatchObject({ message: 'stopping' });
});
