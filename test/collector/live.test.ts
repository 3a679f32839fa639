// The real probe, a real server and a real client: what passed between them is in the tables, or declared as lost.
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createAgent } from '../../src/collector/agent.ts';
import type { Agent } from '../../src/collector/agent.ts';
import { PROTOCOLS } from '../../src/collector/protocols/registry.ts';
import { createLiveSource } from '../../src/collector/sources/live.ts';
import type { Batch } from '../../src/columns/column.ts';
import { lostAtMost } from '../../src/model/loss.ts';
import { now, timeNs } from '../../src/model/time.ts';
import { createTableStore } from '../../src/tables/store.ts';

const PROBE = join(process.cwd(), 'build', 'sluice-probe');
const why = !existsSync(PROBE)
  ? `${PROBE} is not built (make probe)`
  : process.getuid?.() !== 0
    ? 'not root'
    : undefined;
if (why !== undefined)
  process.stderr.write(`\n*** SKIPPED: the collector's test on the running kernel: ${why} ***\n\n`);

const SERVER = `
  const server = require('node:http').createServer((request, response) => {
    request.resume();
    request.on('end', () => response.end(JSON.stringify({ path: request.url })));
  });
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
`;
/** count requests, one after another; \`keep\`: all over one connection. */
const CLIENT = `
  const [port, count, keep, prefix] = process.argv.slice(2);
  const http = require('node:http');
  const agent = new http.Agent({ keepAlive: keep === 'keep', maxSockets: 1 });
  let left = Number(count);
  const next = () => left-- === 0 ? agent.destroy() : http.get({ port, agent, host: '127.0.0.1', path: '/' + prefix + '/' + left }, (r) => r.resume().on('end', next));
  next();
`;

const suite = why === undefined ? describe : describe.skip;

suite('on the running kernel', () => {
  const store = createTableStore();
  let folder = '';
  let agent: Agent;
  let server: ChildProcess;
  let port = '';
  const output: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'capture-'));
    await writeFile(join(folder, 'shop.js'), SERVER);
    await writeFile(join(folder, 'client.js'), CLIENT);
    const source = createLiveSource({
      socketPath: join(folder, 'probe.sock'),
      probe: { path: PROBE },
      ownTgids: [process.pid],
      localNetworks: [],
      onLine: (line) => output.push(line),
    });
    agent = createAgent({ name: 'here', source, tables: store, protocols: PROTOCOLS });
    await source.connected;
    server = spawn(process.execPath, [join(folder, 'shop.js')], { stdio: ['ignore', 'pipe', 'inherit'] });
    if (server.stdout === null) throw new Error('no output');
    [port] = (await once(createInterface({ input: server.stdout }), 'line')) as [string];
  });

  afterAll(async () => {
    await agent.stop();
    server.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });

  const ask = (count: number, keep: 'keep' | 'new', prefix: string) =>
    promisify(execFile)(process.execPath, [join(folder, 'client.js'), port, String(count), keep, prefix]);
  const settled = (tables: string[]) => agent.node.waitForWatermark(tables, now(), AbortSignal.timeout(15_000));
  const texts = (batches: Iterable<Batch>, position: number): string[] =>
    [...batches].flatMap((batch) => {
      const column = batch.columns[position];
      if (column?.type !== 'STRING') return [];
      return Array.from({ length: batch.length }, (_, row) => column.dictionary.text(column.codes?.[row] ?? row));
    });
  const pathsOf = (prefix: string): string[] =>
    texts(store.snapshot('http_events', { columns: ['req_path'] }), 0).filter((path) => path.startsWith(`/${prefix}/`));

  test.each([
    ['one connection', 'keep', 200],
    ['a connection each', 'new', 60],
  ] as const)('every exchange over %s is a row once, or declared as lost', async (_, keep, count) => {
    const start = now();
    await ask(count, keep, keep);
    await settled(['http_events']);
    const paths = pathsOf(keep);
    const second = timeNs(start - (start % 1_000_000_000n));
    const loss = await agent.node.loss(['http_events'], second, now(), AbortSignal.timeout(5000));
    expect(new Set(paths).size).toBe(paths.length);
    expect(paths.length).toBeGreaterThan(0);
    expect(paths.length).toBeLessThanOrEqual(count);
    expect(paths.length + lostAtMost(loss)).toBeGreaterThanOrEqual(count);
  });

  test('rows name the server’s process, and its side of the connection', async () => {
    await ask(1, 'new', 'who');
    await settled(['http_events', 'process_stats']);
    const batches = [...store.snapshot('http_events', { columns: ['upid', 'trace_role', 'local_port', 'req_path'] })];
    const batch = batches.find((one) => texts([one], 3).includes('/who/0'));
    const row = batch === undefined ? -1 : texts([batch], 3).indexOf('/who/0');
    const [upids, roles, ports] = batch?.columns ?? [];
    if (upids?.type !== 'UINT128' || roles?.type !== 'INT64' || ports?.type !== 'INT64') throw new Error('no such row');
    const upid = { high: upids.values[2 * row] ?? 0n, low: upids.values[2 * row + 1] ?? 0n };
    expect([roles.values[row], ports.values[row]]).toEqual([2n, BigInt(port)]);
    expect(Number(upid.high & 0xffff_ffffn)).toBe(server.pid);
    expect(agent.identity.process(upid)).toMatchObject({
      namespace: 'host',
      cmdline: expect.stringContaining('shop.js'),
    });
    const sampled = [...store.snapshot('process_stats', { columns: ['upid'] })];
    expect(
      sampled.some(({ columns: [column] }) => column?.type === 'UINT128' && column.values.includes(upid.low)),
    ).toBe(true);
  });

  test('the end of a process is a row', async () => {
    await promisify(execFile)('/bin/sh', ['-c', 'exit 7']).catch(() => undefined);
    await settled(['proc_exit_events']);
    const codes = [...store.snapshot('proc_exit_events', { columns: ['exit_code'] })].flatMap(
      ({ columns: [column] }) => (column?.type === 'INT64' ? [...column.values] : []),
    );
    expect(codes).toContain(7n);
  });

  test('nothing is refused, late or unknown', () => {
    expect(output.filter((line) => line.includes('lost the probe'))).toEqual([]);
    expect(agent.metrics()).toMatchObject({
      rowsRefused: 0,
      rowsLate: 0,
      framesUnknown: 0,
      framesBeforeClock: 0,
      probeConnects: 1,
    });
  });
});
