import { describe, expect, test } from '@jest/globals';
import { createAgent } from '../../src/collector/agent.ts';
import { encodeFeature, encodeSampleEnd } from '../../src/collector/frames/encode.ts';
import { FEATURE, ORIGIN, ROLE } from '../../src/collector/frames/frame.ts';
import { createPodMetadata } from '../../src/collector/identity/cluster.ts';
import { PROTOCOLS } from '../../src/collector/protocols/registry.ts';
import { createFramer } from '../../src/collector/frames/framer.ts';
import type { FrameSource } from '../../src/collector/sources/source.ts';
import { rowsOf } from '../../src/columns/batch.ts';
import type { Batch } from '../../src/columns/column.ts';
import { CATALOGUE, schemaOf } from '../../src/model/catalogue.ts';
import { timeNs } from '../../src/model/time.ts';
import type { BlindSource } from '../../src/model/loss.ts';
import { packUpid } from '../../src/model/upid.ts';
import type { SourceOperator } from '../../src/plan/plan.ts';
import { createTableStore } from '../../src/tables/store.ts';
import {
  MS,
  SECOND,
  START,
  TGID,
  TICKS,
  counts,
  drained,
  exit,
  id,
  join,
  open,
  opening,
  process,
  received,
  sample,
  sent,
  wall,
} from './stream.ts';
import { cgroupOf, containerOf, pod, uidOf } from './identity/objects.ts';

const ASK = 'GET /cart?id=7 HTTP/1.1\r\nHost: shop\r\n\r\n';
const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}';
const T = START + 10 * MS;

/** A source that a test holds in its hands. */
const manual = () => {
  const end = Promise.withResolvers<void>();
  let push: (bytes: Uint8Array) => void = () => undefined;
  let trouble: BlindSource[] = [];
  const source: FrameSource = {
    send: () => undefined,
    blind: () => trouble,
    run(onFrames, signal) {
      const framer = createFramer(onFrames);
      push = (bytes) => framer.push(bytes);
      signal.addEventListener('abort', () => end.resolve());
      return end.promise;
    },
  };
  return {
    source,
    end,
    feed: (...parts: Uint8Array[]) => parts.forEach((part) => push(part)),
    lose: (reason: string) => (trouble = [{ source: 'probe', reason, message: '' }]),
  };
};
const make = () => {
  const hand = manual();
  const tables = createTableStore();
  const agent = createAgent({ name: 'box', source: hand.source, tables, protocols: PROTOCOLS });
  return { ...hand, tables, agent };
};
const operatorOf = (table: string): SourceOperator => {
  const definition = CATALOGUE.find(({ name }) => name === table);
  if (definition === undefined) throw new Error(table);
  const schema = schemaOf(definition);
  return { kind: 'source', table, columns: schema.map(({ name }) => name), schema };
};
const collect = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
};
const text = (batch: Batch, name: string, row = 0): string => {
  const column = batch.columns[batch.schema.findIndex((field) => field.name === name)];
  return column?.type === 'STRING' ? column.dictionary.text(column.codes?.[row] ?? row) : '';
};

describe('an agent', () => {
  test('turns a source into tables with the catalogue’s columns, and answers fragments over them', async () => {
    const { agent, feed, end } = make();
    feed(
      opening(),
      open(),
      received(ASK, 0, T),
      sent(ANSWER, 0, T + 2 * MS),
      counts(T + 3 * MS, ANSWER.length, ASK.length),
    );
    feed(sample(START + SECOND), encodeSampleEnd(START + SECOND), exit(START + SECOND), drained(START + 2 * SECOND));
    end.resolve();
    await agent.ended;
    for (const table of ['http_events', 'conn_stats', 'process_stats', 'proc_exit_events']) {
      const events = await collect(
        agent.node.query(operatorOf(table), { scope: '*', signal: new AbortController().signal }),
      );
      const [first] = events;
      expect(first).toMatchObject({ kind: 'batch' });
      expect(events.at(-1)).toMatchObject({ kind: 'end', stats: { rowsRead: 1 } });
      if (first?.kind !== 'batch' || table !== 'http_events') continue;
      expect(text(first.batch, 'req_path')).toBe('/cart?id=7');
      expect(text(first.batch, 'remote_addr')).toBe('203.0.113.9');
      expect(text(first.batch, 'resp_body')).toBe('{}');
    }
    expect(agent.metrics()).toMatchObject({ rowsRefused: 0, rows: 4, frames: 12 });
    expect(agent.identity.process({ high: (1n << 32n) | BigInt(TGID), low: BigInt(TICKS) })?.services).toEqual([
      'host/nginx',
    ]);
  });

  test('waits for the watermark of exactly the tables asked for', async () => {
    const { agent, feed, tables } = make();
    feed(opening(), drained(START + SECOND));
    const { signal } = new AbortController();
    await agent.node.waitForWatermark(['http_events', 'conn_stats'], timeNs(wall(START + SECOND - 50 * MS)), signal);
    const samples = agent.node.waitForWatermark(['process_stats'], timeNs(wall(START + SECOND)), signal);
    feed(encodeSampleEnd(START + SECOND));
    await samples;
    expect(tables.watermark(['http_events'])).toBe(wall(START + SECOND - 50 * MS));
    await agent.stop();
  });

  test('declares as blind what was before it and what comes after its source has ended', async () => {
    const { agent, feed } = make();
    const { signal } = new AbortController();
    const window = async (from: number, to: number) =>
      (await agent.node.loss(['http_events'], timeNs(wall(from)), timeNs(wall(to)), signal)).blind;
    expect(await window(START, START + SECOND)).toEqual([
      { source: 'collector', start: wall(START), end: wall(START + SECOND), reason: 'NotStarted' },
    ]);
    feed(opening(), drained(START + 5 * SECOND));
    expect(agent.state().startTime).toBe(wall(START));
    expect(await window(START, START + 5 * SECOND)).toEqual([]);
    expect(await window(START - SECOND, START + SECOND)).toEqual([
      { source: 'collector', start: wall(START - SECOND), end: wall(START), reason: 'NotStarted' },
    ]);
    await agent.stop();
    expect(await window(START + SECOND, START + 5 * SECOND)).toEqual([]);
    expect(await window(START + SECOND, START + 9 * SECOND)).toEqual([
      { source: 'collector', start: wall(START + 5 * SECOND), reason: 'SourceEnded' },
    ]);
  });

  test('declares as blind the time since its source fell silent', async () => {
    const { agent, feed, lose } = make();
    feed(opening(), drained(START + SECOND));
    lose('ProbeNotRunning');
    expect(agent.state().blind).toEqual([{ source: 'probe', reason: 'ProbeNotRunning', message: '' }]);
    const { signal } = new AbortController();
    const { blind } = await agent.node.loss([], timeNs(wall(START)), timeNs(wall(START + 2 * SECOND)), signal);
    expect(blind).toEqual([{ source: 'probe', start: wall(START + SECOND), reason: 'ProbeNotRunning' }]);
  });

  test('says so where its source cannot go on, and what it had stays', async () => {
    const { agent, feed, end } = make();
    feed(opening(), open(), received(ASK, 0, T), sent(ANSWER, 0, T + 2 * MS));
    end.reject(new Error('disk gone'));
    await expect(agent.ended).rejects.toThrow('disk gone');
    await agent.node.waitForWatermark(
      ['http_events'],
      timeNs(wall(START + 100 * SECOND)),
      new AbortController().signal,
    );
    expect(agent.metrics().rows).toBeGreaterThan(0);
  });

  test('counts a value that no column can hold, and goes on', () => {
    const { agent, feed } = make();
    const absurd = sample(START + SECOND);
    new DataView(absurd.buffer).setBigUint64(72, 2n ** 64n - 1n, true);
    feed(opening(), absurd, sample(START + SECOND));
    expect(agent.metrics()).toMatchObject({ rows: 1, rowsRefused: 1 });
  });

  test('without pods has nothing for a namespace, and refuses what is none', async () => {
    const { agent } = make();
    const { signal } = new AbortController();
    const ask = (scope: string) => collect(agent.node.query(operatorOf('http_events'), { scope, signal }));
    await expect(ask('shop')).resolves.toMatchObject([{ kind: 'end', stats: { rowsRead: 0 } }]);
    await expect(ask('')).rejects.toThrow('"" is no scope: a namespace, or "*"');
    expect(agent.metrics().scopesRefused).toBe(1);
  });

  describe('in a cluster', () => {
    const inCluster = () => {
      const hand = manual();
      const metadata = createPodMetadata({ now: () => 0 });
      const tables = createTableStore();
      const options = {
        name: 'n1',
        asid: 4_000_000_000,
        source: hand.source,
        tables,
        protocols: PROTOCOLS,
        pods: metadata,
      };
      return { ...hand, metadata, agent: createAgent(options) };
    };
    const cgroup = cgroupOf(uidOf(1), containerOf(1));
    const upid = packUpid(4_000_000_000, TGID, BigInt(TICKS));

    test('names processes by their pods, under its own short id and the node’s name', async () => {
      const { agent, metadata, feed } = inCluster();
      metadata.pod({ after: pod('web', { containers: { [containerOf(1)]: 'nginx' } }) });
      feed(opening(), process(START, { cgroup }), sample(START + SECOND), encodeSampleEnd(START + SECOND));
      expect(agent.identity.process(upid)).toMatchObject({ pod: 'shop/web', container: 'nginx', node: 'n1' });
      const { signal } = new AbortController();
      const [first] = await collect(agent.node.query(operatorOf('process_stats'), { scope: 'shop', signal }));
      expect(first?.kind === 'batch' && rowsOf(first.batch)[0]?.[1]).toEqual(upid);
      feed(process(START, { tgid: 5, cgroup: '/system.slice/sshd.service' }));
      const host = agent.identity.process(packUpid(4_000_000_000, 5, BigInt(TICKS)));
      expect(host).toMatchObject({ namespace: 'host', node: 'n1' }); // and not "box", as the probe's own pod is called
    });

    test('declares names that may be missing, now and in a window', async () => {
      const { agent, metadata, feed } = inCluster();
      feed(opening(), drained(START + SECOND));
      expect(agent.state().blind).toMatchObject([{ source: 'metadata', reason: 'MetadataNotSynced' }]);
      const { signal } = new AbortController();
      const window = () => agent.node.loss([], timeNs(wall(START)), timeNs(wall(START + SECOND)), signal);
      expect((await window()).blind).toEqual([{ source: 'metadata', reason: 'MetadataNotSynced', start: 0n }]);
      metadata.fresh();
      expect([agent.state().blind, (await window()).blind]).toEqual([[], []]);
    });

    test('leaves the rows to the other side where that is a pod or a service', async () => {
      const { agent, metadata, feed } = inCluster();
      const { signal } = new AbortController();
      const exchanges = async () =>
        (await collect(agent.node.query(operatorOf('http_events'), { scope: '*', signal }))).at(-1);
      metadata.pod({ after: pod('far', { ip: '203.0.113.9' }) });
      feed(opening(), open(undefined, { role: ROLE.CLIENT, origin: ORIGIN.CONNECT }));
      feed(sent(ASK, 0, T), received(ANSWER, 0, T + 2 * MS), drained(START + SECOND));
      expect(await exchanges()).toMatchObject({ stats: { rowsRead: 0 } });
      metadata.pod({ before: pod('far', { ip: '203.0.113.9' }) });
      const next = id(8, T + 3 * MS);
      feed(open(next, { role: ROLE.CLIENT, origin: ORIGIN.CONNECT }));
      feed(sent(ASK, 0, T + 4 * MS, next), received(ANSWER, 0, T + 5 * MS, next), drained(START + SECOND + MS));
      expect(await exchanges()).toMatchObject({ stats: { rowsRead: 1 } });
    });
  });

  test('declares as blind a filter by cgroup that was asked for and cannot be had', async () => {
    const { agent, feed } = make();
    const filter = (error: number) =>
      encodeFeature({
        ktime: START,
        id: FEATURE.CGROUP_FILTER,
        error,
        name: 'cgroup_filter',
        reason: 'not below any kubepods',
      });
    const { signal } = new AbortController();
    const window = () =>
      agent.node.loss(['proc_exit_events'], timeNs(wall(START)), timeNs(wall(START + SECOND)), signal);
    feed(opening(), filter(95), drained(START + SECOND));
    expect([agent.state().blind, (await window()).blind]).toEqual([[], []]);
    feed(filter(2));
    const blind = { source: 'cgroup_filter', reason: 'CgroupUnknown' };
    expect(agent.state().blind).toEqual([{ ...blind, message: 'not below any kubepods' }]);
    expect((await window()).blind).toEqual([{ ...blind, start: wall(START) }]);
    feed(filter(0));
    expect(agent.state().blind).toEqual([]);
  });

  test.each([0, -1, 1.5, 2 ** 32])('takes no %d for a short id', (asid) => {
    const options = { name: 'n', source: manual().source, tables: createTableStore(), protocols: PROTOCOLS, asid };
    expect(() => createAgent(options)).toThrow(RangeError);
  });
});

test('requests that arrive in pieces, interleaved with those of other connections, are put together', () => {
  const { agent, feed } = make();
  const ids = [7, 8, 9].map((fd) => id(fd, T + fd));
  feed(opening(), ...ids.map((one) => open(one)));
  for (const half of [0, 20])
    for (const one of ids)
      feed(join(received(ASK.slice(half, half === 0 ? 20 : undefined), half, T + half + one.fd, one)));
  for (const one of ids) feed(sent(ANSWER, 0, T + MS, one));
  expect(agent.metrics().rows).toBe(3);
});
