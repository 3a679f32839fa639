// Recordings whose every request is known: one keep-alive connection at a steady rate, on whole seconds of the wall
// clock, so that the windows of a schedule can be told beforehand. Made at the time of the test, so that a replay begins
// at once.
import { recordingHeader } from '../../src/collector/sources/recording.ts';
import { encodeClock } from '../../src/collector/frames/encode.ts';
import {
  drained,
  hello,
  id,
  join,
  MS,
  open,
  process,
  received,
  SECOND,
  sent,
  snapshotEnd,
  START,
} from '../collector/stream.ts';

export const PER_SECOND = 20;
const STEP = SECOND / PER_SECOND;

export interface TrafficOptions {
  readonly seconds: number;
  /** Wall clock of the first frame in ms, a whole second. Default: the current second. */
  readonly startMs?: number;
  /** The wall clock is set by `byMs` at second `at` of the traffic. */
  readonly clockSteps?: readonly { readonly at: number; readonly byMs: number }[];
  /** Seconds from the first frame to the first request. Default 1. */
  readonly quietSeconds?: number;
}

export interface Traffic {
  readonly bytes: Uint8Array;
  /** Wall clock of the first request's second, ms. */
  readonly firstMs: number;
  /** The `time_` of each request in order: the offset to kernel time rises at once and never falls. */
  readonly times: readonly bigint[];
}

/** Requests `GET /item/0` and `/item/1` in turn, answered 200 after 3 ms. */
export function traffic({ seconds, clockSteps = [], quietSeconds = 1, ...more }: TrafficOptions): Traffic {
  const startMs = more.startMs ?? Math.floor(Date.now() / 1000) * 1000;
  const connection = id();
  let offset = BigInt(startMs) * 1_000_000n - BigInt(START);
  let highest = offset;
  const clock = (ktime: number): Uint8Array =>
    encodeClock({ ktime, realtime: offset + BigInt(ktime), boottime: BigInt(ktime) });
  const parts = [recordingHeader(), hello(), clock(START), process(), snapshotEnd(), open(connection)];
  const times: bigint[] = [];
  let [asked, answered] = [0, 0];
  for (let i = -quietSeconds * PER_SECOND; i < seconds * PER_SECOND; i++) {
    const at = START + quietSeconds * SECOND + i * STEP + 10 * MS;
    const step = clockSteps.find((one) => one.at * PER_SECOND === i);
    if (step !== undefined) offset += BigInt(step.byMs) * 1_000_000n;
    if (offset > highest) highest = offset;
    if (i % PER_SECOND === 0) parts.push(clock(at));
    if (i >= 0) {
      const request = `GET /item/${i % 2} HTTP/1.1\r\nHost: a\r\n\r\n`;
      const response = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok';
      parts.push(received(request, asked, at, connection), sent(response, answered, at + 3 * MS, connection));
      times.push(highest + BigInt(at + 3 * MS));
      asked += request.length;
      answered += response.length;
    }
    parts.push(drained(at + 10 * MS));
  }
  const end = START + (quietSeconds + seconds) * SECOND;
  // the watermark passes the last window
  for (const later of [0, 1, 2]) parts.push(clock(end + later * SECOND), drained(end + later * SECOND));
  return { bytes: join(...parts), firstMs: startMs + quietSeconds * 1000, times };
}

/** How many of `times` lie in each second, by the second's start in ns. */
export function bySecond(times: readonly bigint[]): Map<bigint, number> {
  const counts = new Map<bigint, number>();
  for (const time of times) {
    const start = time - (time % 1_000_000_000n);
    counts.set(start, (counts.get(start) ?? 0) + 1);
  }
  return counts;
}
