import { describe, expect, test } from '@jest/globals';
import { encodeConnOpen, encodeIgnoreTgid, encodeLocalNetwork } from '../../../src/collector/frames/encode.ts';
import { timeNs } from '../../../src/model/time.ts';
import {
  LINES,
  MS,
  PROBE_TGID,
  SECOND,
  START,
  clientOpen,
  close,
  counts,
  createBench,
  drained,
  exit,
  id,
  join,
  open,
  opening,
  printed,
  received,
  sent,
  wall,
} from '../stream.ts';
import type { Protocol } from '../../../src/collector/protocols/protocol.ts';
import type { Bench } from '../stream.ts';

const T = START + 10 * MS;
const TYPE = { FOLLOW: 64, MUTE: 65 };
/** An exchange as the server sees it. */
const served = (text: string, at: number, asked = 0, answered = 0, connection = id()): Uint8Array =>
  join(received(`Q${text}\n`, asked, at, connection), sent(`A${text}\n`, answered, at + MS, connection));
/** And as the client does. */
const called = (text: string, at: number, connection = id()): Uint8Array =>
  join(sent(`Q${text}\n`, 0, at, connection), received(`A${text}\n`, 0, at + MS, connection));
const paths = (bench: Bench): unknown[] => bench.of('http_events').map((row) => row.cells[13]);
const said = (bench: Bench): number[] => bench.controls.map((frame) => frame[4] ?? 0);
/** role, open, close, active, sent, received of the last row of conn_stats */
const totals = (bench: Bench): unknown[] => {
  const cells = bench.of('conn_stats').at(-1)?.cells ?? [];
  return [cells[4], ...cells.slice(8)];
};

describe('the row of an exchange', () => {
  test('has the eight columns that all protocols share, then those of the parser', () => {
    const bench = createBench();
    bench.feed(opening(), open(), served('one', T));
    expect(bench.of('http_events')[0]?.cells.slice(0, 9)).toEqual([
      wall(T + MS), { high: (1n << 32n) | 4242n, low: 99_000n }, '203.0.113.9', 50_000, '10.0.0.1', 80, 2, false, 1,
    ]); // prettier-ignore
    expect(said(bench)).toEqual([TYPE.FOLLOW]);
  });

  test('shows IPv6 as text, and IPv4 inside IPv6 as IPv4', () => {
    const v6 = (words: number[]): Uint8Array => Uint8Array.from(words.flatMap((word) => [word >> 8, word & 255]));
    const bench = createBench();
    const more = {
      ktime: T,
      id: id(),
      family: 10,
      role: 2,
      origin: 1,
      localPort: 80,
      remotePort: 9,
      netns: 1,
      protocol: 6,
    };
    bench.feed(
      opening(),
      encodeConnOpen({
        ...more,
        localAddress: v6([0, 0, 0, 0, 0, 0xffff, 0x0a00, 1]),
        remoteAddress: v6([0x2001, 0xdb8, 0, 0, 1, 0, 0, 1]),
      }),
    );
    bench.feed(served('one', T), drained(T + SECOND));
    expect(bench.of('http_events')[0]?.cells.slice(2, 6)).toEqual(['2001:db8::1:0:0:1', 9, '10.0.0.1', 80]);
    expect(bench.of('conn_stats')[0]?.cells[5]).toBe(2);
  });
});

describe('opens', () => {
  test('that come after the data complete it: nothing is lost', () => {
    const bench = createBench();
    bench.feed(
      opening(),
      served('one', T),
      open(id(), { ktime: T }),
      served('two', T + 2 * MS, 5, 5),
      drained(T + 10 * MS),
    );
    expect(paths(bench)).toEqual(['Qone', 'Qtwo']);
    expect(bench.of('http_events').map((row) => row.cells[2])).toEqual(['203.0.113.9', '203.0.113.9']);
    expect(bench.intake.metrics.connectionsImplicit).toBe(1);
  });

  test('that never come leave a server’s rows without addresses', () => {
    const bench = createBench();
    bench.feed(opening(), served('one', T));
    expect(paths(bench)).toEqual([]);
    bench.feed(drained(T + 10 * MS), served('two', T + 20 * MS, 5, 5));
    expect(bench.of('http_events').map((row) => row.cells.slice(2, 7))).toEqual([
      ['-', -1, '-', -1, 2],
      ['-', -1, '-', -1, 2],
    ]);
    expect(bench.of('conn_stats')).toEqual([]);
  });

  test('that never come make a client’s exchanges loss: their server may be here', () => {
    const bench = createBench();
    bench.feed(opening(), called('one', T), drained(T + 10 * MS));
    expect(paths(bench)).toEqual([]);
    expect(
      bench.intake.loss.window(['http_events'], timeNs(wall(START)), timeNs(wall(START + SECOND))).exchangesLost,
    ).toBe(1);
    expect(bench.intake.metrics.exchangesLost.unresolved).toBe(1);
  });

  test('without a role learn it from direction and kind of the first message', () => {
    const bench = createBench({ bothSides: true });
    bench.feed(
      opening(),
      open(id(7, T), { role: 4, origin: 3 }),
      called('one', T, id(7, T)),
      open(id(8, T), { role: 4, origin: 4 }),
      served('two', T + 5 * MS, 0, 0, id(8, T)),
    );
    expect(bench.of('http_events').map((row) => row.cells[6])).toEqual([1, 2]);
  });

  test('from before we came have a guessed role that a message overrules', () => {
    const bench = createBench();
    bench.feed(opening(), open(id(), { role: 1, origin: 4 }), counts(T, 0, 3), served('two', T));
    bench.feed(drained(T + SECOND));
    expect(paths(bench)).toEqual(['Qtwo']);
    expect(totals(bench)[0]).toBe(2);
  });

  test('that guess, and come late, do not overrule what a message has said', () => {
    const bench = createBench();
    bench.feed(opening(), open(id(), { role: 4, origin: 3 }), served('one', T));
    bench.feed(open(id(), { role: 1, origin: 4 }), counts(T + 5 * MS, 5, 5), drained(T + SECOND));
    expect(totals(bench)[0]).toBe(2);
  });

  test('by accept are servers whatever passes: a server that asks speaks another protocol', () => {
    const bench = createBench();
    bench.feed(opening(), open());
    for (let i = 0; i < 8; i += 1) bench.feed(sent('Qx\n', 3 * i, T + i));
    expect(said(bench)).toEqual([TYPE.MUTE]);
    bench.feed(served('late', T + SECOND, 0, 24));
    expect(paths(bench)).toEqual([]);
    expect(bench.intake.metrics).toMatchObject({ connectionsMuted: 1, messagesUnwanted: 2, bytesBeforeRecognised: 24 });
  });

  test('from before we came get more time to show a beginning', () => {
    const bench = createBench();
    bench.feed(opening(), open(id(), { origin: 4 }));
    for (let i = 0; i < 20; i += 1) bench.feed(received('...\n', 4 * i, T + i));
    expect(said(bench)).toEqual([TYPE.FOLLOW]);
    bench.feed(served('one', T + MS, 80));
    expect(paths(bench)).toEqual(['Qone']);
  });

  test('of datagram sockets are counted and not parsed', () => {
    const bench = createBench();
    bench.feed(opening(), open(id(), { protocol: 17 }), served('one', T), counts(T, 5, 5), drained(T + SECOND));
    expect(paths(bench)).toEqual([]);
    expect(totals(bench)).toEqual([2, 1, 0, 1, 5, 5]);
  });
});

describe('which side makes rows', () => {
  const client = (remote: string, options = {}, ...before: Uint8Array[]): Bench => {
    const bench = createBench(options);
    bench.feed(opening(), ...before, clientOpen(id(), { remote }), called('one', T));
    return bench;
  };
  const range = { address: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 96, 0, 0), prefixBits: 108 };

  test.each([
    ['a peer far away', '198.51.100.7', {}, ['Qone']],
    ['loopback', '127.0.0.1', {}, []],
    ['an address of this host, as the socket’s own end shows', '10.0.0.1', {}, []],
    ['a peer in the cluster', '10.100.3.4', { insideRanges: [range] }, []],
    ['a peer next to the cluster', '10.112.3.4', { insideRanges: [range] }, ['Qone']],
    ['loopback, when both sides are wanted', '127.0.0.1', { bothSides: true }, ['Qone']],
  ])('a client of %s', (_, remote, options, wanted) => {
    const bench = client(remote, options);
    expect(paths(bench)).toEqual(wanted);
    expect(said(bench)).toEqual([wanted.length > 0 ? TYPE.FOLLOW : TYPE.MUTE]);
  });

  test('a client of an address that the source names as the host’s own', () => {
    const network = encodeLocalNetwork({
      ktime: START,
      family: 2,
      prefixBits: 24,
      address: Uint8Array.from([192, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    });
    expect(paths(client('192.0.2.200', {}, network))).toEqual([]);
    expect(paths(client('192.0.3.200', {}, network))).toEqual(['Qone']);
  });

  test('a client of an address on which somebody here accepts', () => {
    expect(paths(client('172.17.0.5', {}, open(id(3, T), { local: '172.17.0.5' })))).toEqual([]);
  });

  test('both sides count in conn_stats', () => {
    const bench = client('127.0.0.1');
    bench.feed(counts(T + MS, 5, 6), drained(T + SECOND));
    expect(bench.of('conn_stats').at(-1)?.cells.slice(2, 8)).toEqual(['127.0.0.1', 80, 1, 1, 1, false]);
  });

  test('our own processes leave nothing behind', () => {
    const bench = createBench();
    const ours = id(7, T, 555);
    const probes = id(7, T, PROBE_TGID);
    bench.feed(
      opening(),
      open(ours),
      served('x', T, 0, 0, ours),
      counts(T, 5, 5, ours),
      encodeIgnoreTgid({ ktime: T, tgid: 555 }),
    );
    const before = printed(bench.rows);
    bench.feed(
      served('y', T, 2, 2, ours),
      open(probes),
      served('z', T, 0, 0, probes),
      drained(T + 10 * MS),
      close(T + MS, 9, 9, ours),
      drained(T + 20 * MS),
    );
    expect(bench.of('http_events')).toHaveLength(1);
    expect(printed(bench.of('http_events'))).toBe(before);
    expect(bench.intake.metrics.connectionsOpen).toBe(0);
  });
});

test('a process that gets the number of one of ours is seen', () => {
  const bench = createBench();
  const next = id(7, T + SECOND, PROBE_TGID);
  bench.feed(opening(), exit(T, 0, PROBE_TGID), open(next), served('one', T + SECOND + MS, 0, 0, next));
  expect(paths(bench)).toEqual(['Qone']);
});

test('bytes that wait for a decision outlive the buffer they came in', () => {
  const bench = createBench();
  const buffer = new Uint8Array(4096);
  const frames = [opening(), received('Qone\n', 0, T), sent('Aone\n', 0, T + MS), open(id(), { ktime: T })];
  for (const frame of frames) {
    buffer.fill(0xff).set(frame);
    bench.intake.take(buffer.subarray(0, frame.length), 0);
  }
  expect(bench.of('http_events')[0]?.cells.slice(13, 20)).toEqual(['Qone', '', 0, '{}', 200, 'OK', 'Aone']);
});

describe('closes', () => {
  test('wait until the data before them has been seen', () => {
    const bench = createBench();
    bench.feed(opening(), open(), close(T + 5 * MS, 5, 5), served('one', T), drained(T + 4 * MS));
    expect(bench.intake.metrics.connectionsOpen).toBe(1);
    bench.feed(drained(T + 6 * MS));
    expect(paths(bench)).toEqual(['Qone']);
    expect(bench.intake.metrics.connectionsOpen).toBe(0);
    expect(totals(bench)).toEqual([2, 1, 1, 0, 5, 5]);
  });

  test('free everything that was held', () => {
    const bench = createBench();
    bench.feed(opening(), open(), received('Qunanswered\n', 0, T));
    expect(bench.intake.metrics.bytesHeld).toBeGreaterThan(0);
    bench.feed(close(T + MS, 0, 12), drained(T + 10 * MS));
    expect(bench.intake.metrics).toMatchObject({ bytesHeld: 0, connectionsOpen: 0 });
    expect(bench.intake.metrics.exchangesLost.unmatched).toBe(1);
  });

  test('that are lost come with the descriptor’s next life', () => {
    const bench = createBench();
    const second = id(7, T + 50 * MS);
    bench.feed(opening(), open(), served('one', T), open(second), served('two', T + 60 * MS, 0, 0, second));
    bench.feed(served('late', T + 40 * MS, 5, 5), drained(T + 100 * MS));
    expect(paths(bench)).toEqual(['Qone', 'Qtwo', 'Qlate']);
    expect(bench.intake.metrics).toMatchObject({ connectionsOpen: 1, connectionsSeen: 2 });
    bench.feed(received('Qghost\n', 10, T, id()), drained(T + SECOND));
    expect(bench.intake.metrics).toMatchObject({ connectionsOpen: 1, framesStale: 1 });
    expect(totals(bench).slice(1, 4)).toEqual([2, 1, 1]);
  });

  test('of connections never seen are stale', () => {
    const bench = createBench();
    bench.feed(opening(), close(T, 1, 1));
    expect(bench.intake.metrics.framesStale).toBe(1);
  });
});

describe('a parser', () => {
  /** Notes what a tracker is told. */
  const spy = () => {
    const told: unknown[] = [];
    const protocol: Protocol = {
      ...LINES,
      start: (role, _, fromOpen) => {
        told.push(['start', role, fromOpen]);
        return {
          bytesHeld: 0,
          message: (isSent, position, size) => {
            told.push([isSent, position, size]);
            if (size === 6) throw new Error('boom');
          },
          close: (sentEnd, receivedEnd) => told.push(['close', sentEnd, receivedEnd]),
          tick: () => undefined,
        };
      },
    };
    return { told, bench: createBench({ protocols: [protocol] }) };
  };

  test('counts from the open, and so sees what is missing before the first message', () => {
    const { told, bench } = spy();
    bench.feed(opening(), open(), received('Qone\n', 40, T), close(T + MS, 7, 45), drained(T + SECOND));
    expect(told).toEqual([
      ['start', 'server', true],
      [false, 40, 5],
      ['close', 7, 45],
    ]);
  });

  test('counts from where we joined a connection that was open before', () => {
    const { told, bench } = spy();
    const old = id(7, START - SECOND);
    bench.feed(
      opening(),
      open(old),
      sent('...\n', 5000, T, old),
      received('Qone\n', 9000, T, old),
      sent('Aone\n', 5004, T, old),
    );
    bench.feed(close(T + MS, 5009, 9105, old), drained(T + SECOND));
    expect(told).toEqual([
      ['start', 'server', false],
      [false, 0, 5],
      [true, 0, 5],
      ['close', 5, 105],
    ]);
  });

  test('that begins anew counts from there', () => {
    const { told, bench } = spy();
    bench.feed(
      opening(),
      open(),
      received('Qone\n', 0, T),
      received('Qboom\n', 5, T),
      received('Qtwo\n', 11, T + 1),
      sent('Atwo\n', 30, T + 1),
    );
    expect(told).toEqual([
      ['start', 'server', true],
      [false, 0, 5],
      [false, 5, 6],
      ['start', 'server', false],
      [false, 0, 5],
      [true, 30, 5],
    ]);
  });
});
