import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { http } from '../../../../src/collector/protocols/http/http.ts';
import { HELD_BYTES_MAX } from '../../../../src/collector/protocols/stream.ts';
import { type Heard, type Row, listen, lostExchanges } from './conversation.ts';
import { type Bursts, type Event, bursts, cut, eventsOf, fractions } from './traffic.ts';

const runs = (few: number): number => Number(process.env['SLUICE_FUZZ_RUNS'] ?? few);
const STEP_NS = 1_000_000;
/** Two streams, two unfinished heads, kept bodies, pending requests. */
const BYTES_HELD_MAX = 2 * (HELD_BYTES_MAX + 65_536) + 128 * 1024 + 256 * 1024 + 16_384;

interface Options {
  readonly fromOpen?: boolean;
  /** Where the connection ends; where the last event does unless given. */
  readonly ends?: readonly Event[];
}

/** Gives events to a server's tracker in their order, then closes. Checks the memory bound on the way. */
function play(events: readonly Event[], { fromOpen = true, ends = events }: Options = {}): Heard {
  const { heard, sink } = listen();
  const tracker = http.start('server', sink, fromOpen);
  let time = 0;
  for (const event of events) {
    const scratch = Buffer.from(event.bytes);
    tracker.message(!event.isRequest, event.position, scratch.length, scratch, event.time);
    // A payload is valid only during the call.
    scratch.fill(0x21);
    time = Math.max(time, event.time);
    expect(tracker.bytesHeld).toBeLessThanOrEqual(BYTES_HELD_MAX);
  }
  const end = (isRequest: boolean): number =>
    Math.max(
      0,
      ...ends.filter((event) => event.isRequest === isRequest).map((event) => event.position + event.bytes.length),
    );
  tracker.tick(time + STEP_NS);
  tracker.close(end(false), end(true), time + 2 * STEP_NS);
  return heard;
}

const countOf = (conversation: Bursts): number => conversation.reduce((sum, burst) => sum + burst.length, 0);

/** The row without what a missing middle of a body may change. */
const withoutBodies = (row: Row): unknown => ({ ...row, reqBody: '', respBody: '' });

function expectNoWrongRow(heard: Heard, whole: Heard): void {
  const right = new Map(whole.rows.map((row) => [row.path, row]));
  for (const row of heard.rows) {
    expect(row.respHeaders).toContain(`"X-Id":"${row.path.slice(1)}"`);
    expect(withoutBodies(row)).toEqual(withoutBodies(right.get(row.path) as Row));
  }
  expect(new Set(heard.rows.map(({ path }) => path)).size).toBe(heard.rows.length);
}

function expectBounds(heard: Heard, exchanges: number): void {
  expect(heard.rows.length).toBeLessThanOrEqual(exchanges);
  expect(heard.rows.length + lostExchanges(heard)).toBeGreaterThanOrEqual(exchanges);
}

test('however the bytes are cut into messages, the rows are the same and nothing is lost', () => {
  fc.assert(
    fc.property(bursts(3), fractions, (conversation, cuts) => {
      const events = eventsOf(conversation, STEP_NS);
      const whole = play(events);
      expect(whole.rows).toHaveLength(countOf(conversation));
      const parts = play(cut(events, cuts));
      expect(parts).toEqual({ ...whole, losses: [], stopped: undefined });
    }),
    { numRuns: runs(150) },
  );
});

test('messages that come late within the reorder window change nothing', () => {
  fc.assert(
    fc.property(
      bursts(3),
      fractions,
      fc.array(fc.nat(3), { minLength: 1, maxLength: 20 }),
      (conversation, cuts, delays) => {
        const events = cut(eventsOf(conversation, 10_000), cuts);
        const order = events.map((event, i) => ({ event, at: i + (delays[i % delays.length] ?? 0) }));
        const late = order.sort((a, b) => a.at - b.at).map(({ event }) => event);
        expect(play(late)).toEqual(play(events));
      },
    ),
    { numRuns: runs(150) },
  );
});

const dropped = fc.array(fc.boolean(), { minLength: 1, maxLength: 12 });

test.each([
  ['one request at a time', 1],
  ['bursts of pipelined requests', 4],
])('lost messages never make a wrong row, and every exchange is a row or counted: %s', (_, burstMax) => {
  fc.assert(
    fc.property(
      bursts(burstMax),
      fractions,
      dropped,
      fc.constantFrom(10_000, STEP_NS, 50 * STEP_NS),
      fc.boolean(),
      (conversation, cuts, drops, step, fromOpen) => {
        const events = cut(eventsOf(conversation, step), cuts);
        // What is lost before a connection that is joined late cannot be told from what nobody watched.
        const isKept = ({ position }: Event): boolean => !fromOpen && position === 0;
        const seen = events.filter((event, i) => drops[i % drops.length] !== true || isKept(event));
        const heard = play(seen, { ends: events, fromOpen });
        expectNoWrongRow(heard, play(events));
        expectBounds(heard, countOf(conversation));
      },
    ),
    { numRuns: runs(300) },
  );
});

test('a single lost message costs few exchanges, and the connection goes on', () => {
  fc.assert(
    fc.property(bursts(1), fractions, fc.nat(), (conversation, cuts, which) => {
      const long: Bursts = [...conversation, ...conversation, ...conversation, ...conversation];
      const events = cut(eventsOf(long, STEP_NS), cuts);
      const index = which % events.length;
      const heard = play(
        events.filter((_, i) => i !== index),
        { ends: events },
      );
      expectNoWrongRow(heard, play(events));
      expectBounds(heard, countOf(long));
      expect(heard.rows.length).toBeGreaterThanOrEqual(countOf(long) - 3);
    }),
    { numRuns: runs(150) },
  );
});

test('flipped bytes never break the tracker or its memory bound', () => {
  const flip = fc.record({ event: fc.nat(), at: fc.nat(), value: fc.nat(255) });
  fc.assert(
    fc.property(bursts(3), fractions, fc.array(flip, { minLength: 1, maxLength: 5 }), (conversation, cuts, flips) => {
      const events = cut(eventsOf(conversation, STEP_NS), cuts).map((event) => ({
        ...event,
        bytes: Buffer.from(event.bytes),
      }));
      for (const { event, at, value } of flips) {
        const bytes = events[event % events.length]?.bytes ?? Buffer.alloc(1);
        bytes[at % bytes.length] = value;
      }
      for (const row of play(events).rows) {
        JSON.parse(row.reqHeaders);
        JSON.parse(row.respHeaders);
      }
    }),
    { numRuns: runs(300) },
  );
});

test('any bytes at any positions never break the tracker or its memory bound', () => {
  const words = fc.constantFrom(
    'HTTP/1.1 200 OK\r\n',
    'GET / HTTP/1.1\r\n',
    '\r\n',
    'Content-Length: 3\r\n',
    'Transfer-Encoding: chunked\r\n',
    '5\r\n',
    '0\r\n\r\n',
    'HEAD ',
    'CONNECT a:1 HTTP/1.1\r\n\r\n',
    ':',
    '\n',
    'Expect: 100-continue\r\n',
  );
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 40 }).map((a) => Buffer.from(a)),
    fc.array(words, { maxLength: 6 }).map((a) => Buffer.from(a.join(''))),
  );
  const event = fc.record({
    isRequest: fc.boolean(),
    skip: fc.constantFrom(0, 0, 0, 0, 5, -3),
    more: fc.constantFrom(0, 0, 0, 7, 70_000),
    bytes,
    wait: fc.nat(30_000_000),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 40 }), fc.boolean(), (events, fromOpen) => {
      const { heard, sink } = listen();
      const tracker = http.start('client', sink, fromOpen);
      const positions = [0, 0];
      let time = 0;
      for (const { isRequest, skip, more, bytes, wait } of events) {
        const direction = isRequest ? 0 : 1;
        const position = Math.max(0, (positions[direction] ?? 0) + skip);
        tracker.message(isRequest, position, bytes.length + more, bytes, (time += wait));
        positions[direction] = position + bytes.length + more;
        if (wait % 3 === 0) tracker.tick(time);
        expect(tracker.bytesHeld).toBeLessThanOrEqual(BYTES_HELD_MAX);
      }
      tracker.close(positions[0] ?? 0, positions[1] ?? 0, time);
      for (const { latency, respSize } of heard.rows) expect(Math.min(latency, respSize)).toBeGreaterThanOrEqual(0);
    }),
    { numRuns: runs(500) },
  );
});
