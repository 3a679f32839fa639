// One namespace of a node that holds several: whatever a script does, it is as if the others were not there.
import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createAgent } from '../../src/collector/agent.ts';
import type { Agent } from '../../src/collector/agent.ts';
import { createFramer } from '../../src/collector/frames/framer.ts';
import { createPodMetadata } from '../../src/collector/identity/cluster.ts';
import { PROTOCOLS } from '../../src/collector/protocols/registry.ts';
import { rowsOf } from '../../src/columns/batch.ts';
import type { Batch } from '../../src/columns/column.ts';
import { CATALOGUE, schemaOf } from '../../src/model/catalogue.ts';
import type { Cell } from '../../src/model/types.ts';
import { packUpid } from '../../src/model/upid.ts';
import { timeNs } from '../../src/model/time.ts';
import type { Operator, SourceOperator } from '../../src/plan/plan.ts';
import { compile } from '../../src/pxl/compile.ts';
import { createTableStore } from '../../src/tables/store.ts';
import { START, TICKS, opening, process as processFrame, wall } from './stream.ts';
import { cgroupOf, containerOf, pod, service, uidOf } from './identity/objects.ts';

const ASID = 77;
/** In every text that belongs to others, or is unknown; in no script. */
const SECRET = 'FOREIGN';
interface Owner {
  readonly pid: number;
  readonly namespace: string;
  readonly uid: string;
}
const OWNERS: readonly Owner[] = [
  { pid: 101, namespace: 'shop', uid: uidOf(1) },
  { pid: 102, namespace: 'shop', uid: uidOf(2) },
  { pid: 103, namespace: 'bank', uid: uidOf(3) },
  { pid: 104, namespace: 'shop-2', uid: uidOf(4) },
  { pid: 105, namespace: 'host', uid: uidOf(5) }, // a namespace may be called so
];
const HOST_PID = 106;
const UNKNOWN_PID = 107;
const STRANGER_PID = 108; // no frame has named it
const nameOf = ({ pid, namespace }: Owner): string =>
  namespace === 'shop' ? `web-${pid}` : `${SECRET.toLowerCase()}-${pid}`;

interface Row {
  /** Milliseconds; its place among the rows where absent. */
  readonly at?: number;
  readonly pid: number;
  readonly text: string;
  readonly number: number;
  readonly peer: number;
}
const isOwn = ({ pid }: Row): boolean => pid === 101 || pid === 102;

/** An agent that knows the owners and holds these rows, in all tables that have rows about processes. */
function agentWith(rows: readonly Row[], owners: readonly Owner[], hasStrangers: boolean): Agent {
  const tables = createTableStore();
  const metadata = createPodMetadata({ now: () => 0 });
  let push: (bytes: Uint8Array) => void = () => undefined;
  const agent = createAgent({
    name: 'n1',
    asid: ASID,
    tables,
    pods: metadata,
    protocols: PROTOCOLS,
    source: {
      send: () => undefined,
      blind: () => [],
      run(onFrames, signal) {
        const framer = createFramer(onFrames);
        push = (bytes) => framer.push(bytes);
        return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
      },
    },
  });
  push(opening());
  for (const owner of owners) {
    const container = containerOf(owner.pid);
    metadata.pod({
      after: pod(nameOf(owner), {
        ...owner,
        ip: `10.0.0.${owner.pid}`,
        labels: { app: nameOf(owner) },
        containers: { [container]: nameOf(owner) },
      }),
    });
    metadata.service({
      after: service(nameOf(owner), { app: nameOf(owner) }, { namespace: owner.namespace, ip: `10.96.0.${owner.pid}` }),
    });
    push(
      processFrame(START, { tgid: owner.pid, cgroup: cgroupOf(owner.uid, container), cmdline: `run ${nameOf(owner)}` }),
    );
  }
  metadata.fresh();
  if (hasStrangers) {
    push(processFrame(START, { tgid: HOST_PID, cgroup: '/system.slice/sshd.service', cmdline: SECRET }));
    push(processFrame(START, { tgid: UNKNOWN_PID, cgroup: cgroupOf(uidOf(999), containerOf(999)), cmdline: SECRET }));
  }
  rows.forEach((row, i) => {
    const time = wall(START) + BigInt(row.at ?? i) * 1_000_000n;
    for (const table of ['http_events', 'conn_stats']) {
      const definition = CATALOGUE.find(({ name }) => name === table);
      const cells = (definition?.columns ?? []).map(({ name, type }): Cell => {
        if (name === 'time_') return time;
        if (name === 'upid') return packUpid(ASID, row.pid, BigInt(TICKS));
        if (name === 'remote_addr') return `10.0.0.${row.peer}`;
        if (type === 'STRING') return isOwn(row) ? row.text : `${SECRET} ${row.text}`;
        if (type === 'BOOLEAN') return row.number % 2 === 0;
        return type === 'FLOAT64' ? row.number : BigInt(row.number);
      });
      tables.append(table, time, cells);
    }
  });
  return agent;
}

interface Answer {
  readonly rows: unknown[][];
  readonly rowsRead: number;
  readonly bytesRead: number;
  readonly texts: string;
}

async function ask(agent: Agent, fragment: Operator, scope: string): Promise<Answer> {
  const batches: Batch[] = [];
  let [rowsRead, bytesRead] = [0, 0];
  for await (const event of agent.node.query(fragment, { scope, signal: new AbortController().signal })) {
    if (event.kind === 'batch') batches.push(event.batch);
    else ({ rowsRead, bytesRead } = event.stats);
  }
  // All that would travel, also what no row points to.
  const texts = batches.flatMap(({ columns }) =>
    columns.flatMap((column) =>
      column.type === 'STRING' ? [Buffer.from(column.dictionary.data).toString('latin1')] : [],
    ),
  );
  return { rows: batches.flatMap(rowsOf), rowsRead, bytesRead, texts: texts.join('\n') };
}

const sourceOf = (table: string, columns?: readonly string[]): SourceOperator => {
  const definition = CATALOGUE.find(({ name }) => name === table);
  if (definition === undefined) throw new Error(table);
  const schema = schemaOf(definition).filter(({ name }) => columns?.includes(name) ?? true);
  return { kind: 'source', table, columns: schema.map(({ name }) => name), schema };
};

/** A step of a script over a frame that has the columns of `http_events` that are named here. */
const STEPS = [
  "df.pod = df.ctx['pod']",
  "df.service = df.ctx['service']\ndf.who = df.ctx['namespace'] + df.ctx['node'] + df.ctx['cmdline'] + df.ctx['container']",
  "df.deployment = df.ctx['deployment'] + px.upid_to_pod_id(df.upid) + px.upid_to_hostname(df.upid)",
  'df.peer = px.pod_id_to_pod_name(px.ip_to_pod_id(df.remote_addr))',
  'df.peer_service = px.service_id_to_service_name(px.ip_to_service_id(df.remote_addr))',
  `df.peer_names = px.pod_id_to_pod_name('${uidOf(3)}') + px.pod_id_to_namespace('${uidOf(5)}')`,
  "df.address = px.pod_name_to_pod_ip('bank/' + 'foreign-103') + px.service_name_to_service_id('host/foreign-105')",
  "df = df[px.contains(df.req_path, 'a')]",
  "df = df[df.req_path != 'a']",
  'df = df[df.latency > 3]',
  "df = df[px.regex_match('.*b.*', df.req_path)]",
  'df.path = px.toupper(df.req_path)',
  'df = df.head(7)',
  "df = df.append(px.DataFrame('http_events', select=SELECT))",
  "df = df[df.ctx['namespace'] != 'shop']",
  "df = df[df.ctx['pod'] == '']",
] as const;
const ENDS = [
  '',
  "df = df.groupby('req_path').agg(n=('latency', px.count), most=('latency', px.max))",
  "df = df.groupby('upid').agg(n=('latency', px.count), some=('req_path', px.any))",
  "df = df.agg(n=('latency', px.count), sum=('latency', px.sum))",
  "right = px.DataFrame('conn_stats', select=['time_', 'upid', 'remote_addr', 'bytes_sent'])\ndf = df.merge(right, how='HOW', left_on='upid', right_on='upid', suffixes=['', '_r'])",
] as const;
const SELECT = "['time_', 'upid', 'remote_addr', 'req_path', 'latency']";

const row = fc.record({
  pid: fc.constantFrom(...OWNERS.map(({ pid }) => pid), HOST_PID, UNKNOWN_PID, STRANGER_PID),
  text: fc.constantFrom('a', 'b', 'ab', '', 'longer than most'),
  number: fc.integer({ min: 0, max: 9 }),
  peer: fc.constantFrom(...OWNERS.map(({ pid }) => pid), 200),
});
const script = fc
  .tuple(
    fc.array(fc.constantFrom(...STEPS), { maxLength: 5 }),
    fc.constantFrom(...ENDS),
    fc.constantFrom('inner', 'left', 'right', 'outer'),
    fc.boolean(),
  )
  .map(([steps, end, how, isNarrow]) =>
    [
      'import px',
      `df = px.DataFrame('http_events', select=SELECT)`,
      ...steps,
      end.replace('HOW', how),
      isNarrow && end === '' ? "df = df[['req_path']]" : '',
      'px.display(df)',
    ]
      .join('\n')
      .replaceAll('SELECT', SELECT),
  );

describe('a scope', () => {
  test('shows what there would be if nobody else were here, to any script', async () => {
    let compiled = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 60 }), script, async (anyRows, text) => {
        const rows = anyRows.map((one, at) => ({ ...one, at }));
        const { plan } = compile(text, { now: timeNs(wall(START)), hasDefaultEndpoint: false });
        const sink = plan?.sinks[0];
        if (sink === undefined) return; // this order of steps makes no sense
        compiled += 1;
        const shared = agentWith(rows, OWNERS, true);
        const alone = agentWith(
          rows.filter(isOwn),
          OWNERS.filter(({ namespace }) => namespace === 'shop'),
          false,
        );
        const [seen, wanted] = [await ask(shared, sink.input, 'shop'), await ask(alone, sink.input, 'shop')];
        expect(seen.rows).toEqual(wanted.rows);
        expect([seen.rowsRead, seen.bytesRead]).toEqual([wanted.rowsRead, wanted.bytesRead]);
        expect(seen.texts).not.toMatch(new RegExp(SECRET, 'i'));
        await Promise.all([shared.stop(), alone.stop()]);
      }),
      { numRuns: Number(process.env['SLUICE_FUZZ_RUNS'] ?? 150) },
    );
    expect(compiled).toBeGreaterThan(50);
  });

  describe('over rows of everybody', () => {
    const rows = OWNERS.flatMap(({ pid }, i) => [
      { pid, text: 'a', number: i, peer: 103 },
      { pid, text: 'b', number: i, peer: 101 },
    ]);
    const strangers = [HOST_PID, UNKNOWN_PID, STRANGER_PID].map((pid) => ({ pid, text: 'x', number: 1, peer: 101 }));
    let agent: Agent;
    beforeAll(() => {
      agent = agentWith([...rows, ...strangers], OWNERS, true);
    });

    test.each([
      ['shop', 4],
      ['bank', 2],
      ['shop-2', 2],
      ['host', 2],
      ['nobody', 0],
      ['*', 13],
    ])('%s reads %d rows, whether it asks for the process or not', async (scope, count) => {
      for (const columns of [undefined, ['req_path'], ['upid', 'time_']]) {
        const answer = await ask(agent, sourceOf('http_events', columns), scope);
        expect([answer.rows.length, answer.rowsRead]).toEqual([count, count]);
        for (const cells of answer.rows)
          expect(cells).toHaveLength(columns?.length ?? sourceOf('http_events').columns.length);
      }
    });

    test('columns come in the order that was asked for', async () => {
      const { schema, ...fragment } = sourceOf('http_events', ['upid', 'req_path']);
      const turned = { ...fragment, schema: schema.toReversed(), columns: ['req_path', 'upid'] };
      const answer = await ask(agent, turned, 'bank');
      expect(answer.rows).toEqual(['a', 'b'].map((text) => [`${SECRET} ${text}`, packUpid(ASID, 103, BigInt(TICKS))]));
    });

    test('rows of pods that nobody has told us of are counted', async () => {
      const before = agent.metrics().scopeRowsUnknown;
      await ask(agent, sourceOf('http_events', ['req_path']), 'shop');
      expect(agent.metrics().scopeRowsUnknown - before).toBe(1);
    });

    test.each([
      [''],
      [' '],
      ['Shop'],
      ['shop/web'],
      ['-a'],
      ['a.b'],
      ['**'],
      ['x'.repeat(64)],
      ['shop\n'],
      ['__proto__'],
    ])('%j is refused, and counted', async (scope) => {
      const before = agent.metrics().scopesRefused;
      await expect(ask(agent, sourceOf('http_events'), scope)).rejects.toMatchObject({
        name: 'ScopeError',
        message: expect.stringContaining('is no scope'),
      });
      expect(agent.metrics().scopesRefused).toBe(before + 1);
    });

    test.each(['network_stats'])('%s, which names no process, needs *', async (table) => {
      const fragment = sourceOf(table);
      const below: Operator = { kind: 'limit', input: fragment, rows: 1, schema: fragment.schema };
      const answer = ask(agent, { kind: 'union', inputs: [below, below], schema: fragment.schema }, 'shop');
      await expect(answer).rejects.toMatchObject({ name: 'ScopeError', message: expect.stringContaining(table) });
      expect((await ask(agent, fragment, '*')).rows).toEqual([]);
    });
  });

  test('of very many rows keeps to distinct processes, and to the entries that its rows use', async () => {
    const many = Array.from({ length: 70_000 }, (_, i) => ({
      pid: 101 + (i % 5),
      text: `path-${i % 1000}`,
      number: i % 7,
      peer: 101,
    }));
    const agent = agentWith(many, OWNERS, true);
    const answer = await ask(agent, sourceOf('http_events', ['time_', 'req_path', 'req_body']), 'shop');
    expect(answer.rows.map(([, path]) => path)).toEqual(many.filter(isOwn).map(({ text }) => text));
    expect(answer.texts).not.toContain(SECRET);
  });
});
