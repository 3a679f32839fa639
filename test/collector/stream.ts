// A made-up host for tests: frames with defaults, a line protocol as simple as a parser can be, and an intake that keeps
// its rows as text.
import {
  encodeClock,
  encodeConnClose,
  encodeConnCounts,
  encodeConnData,
  encodeConnOpen,
  encodeDrained,
  encodeHello,
  encodeProcess,
  encodeProcessExit,
  encodeProcessSample,
  encodeSnapshotEnd,
  connectionId,
} from '../../src/collector/frames/encode.ts';
import type { ConnOpenFrame, ConnectionId, HelloFrame } from '../../src/collector/frames/frame.ts';
import { createFramer } from '../../src/collector/frames/framer.ts';
import { createIntake } from '../../src/collector/intake.ts';
import type { Intake, IntakeOptions } from '../../src/collector/intake.ts';
import type { KtimeNs, Protocol, ProtocolSink } from '../../src/collector/protocols/protocol.ts';
import type { Cell } from '../../src/model/types.ts';

export const MS = 1e6;
export const SECOND = 1e9;
/** Kernel time of the first frame: 1000 s of uptime. */
export const START = 1000 * SECOND;
/** Wall-clock time of kernel time 0. */
export const BOOT = 1_800_000_000_000_000_000n;
export const wall = (ktime: number): bigint => BOOT + BigInt(ktime);

export const TGID = 4242;
export const TICKS = 99_000;
export const PROBE_TGID = 77;

export const id = (fd = 7, tsid = START + 5 * MS, tgid = TGID): ConnectionId => connectionId(tgid, fd, tsid, TICKS);

const utf8 = new TextEncoder();
const v4 = (text: string): Uint8Array => {
  const address = new Uint8Array(16);
  address.set(text.split('.').map(Number));
  return address;
};

export const hello = (ktime = START, more: Partial<HelloFrame> = {}): Uint8Array =>
  encodeHello({
    ktime,
    cpus: 2,
    pageSize: 4096,
    clockTicks: 100,
    features: 0x1f,
    startKtime: ktime,
    probeTgid: PROBE_TGID,
    captureMax: 16_384,
    release: '6.1',
    hostname: 'box',
    ...more,
  });
export const clock = (ktime = START, realtime = wall(ktime)): Uint8Array =>
  encodeClock({ ktime, realtime, boottime: BigInt(ktime) });
export const snapshotEnd = (ktime = START + MS): Uint8Array => encodeSnapshotEnd(ktime);
export const drained = encodeDrained;
export const process = (
  ktime = START,
  more: { tgid?: number; exe?: string; cmdline?: string; cgroup?: string; startTicks?: number } = {},
): Uint8Array =>
  encodeProcess({
    ktime,
    isExec: false,
    tgid: TGID,
    parentTgid: 1,
    startTicks: TICKS,
    uid: 0,
    comm: 'nginx',
    exe: '/usr/sbin/nginx',
    cgroup: '/',
    cmdline: 'nginx',
    ...more,
  });
export const exit = (ktime: number, exitCode = 0, tgid = TGID): Uint8Array =>
  encodeProcessExit({ ktime, tgid, exitCode, startTicks: TICKS, comm: 'nginx' });

export const sample = (ktime: number, tgid = TGID): Uint8Array =>
  encodeProcessSample({
    ktime,
    hasIo: true,
    tgid,
    threads: 3,
    startTicks: TICKS,
    majorFaults: 1,
    minorFaults: 2,
    utimeNs: 3e9,
    ktimeNs: 4e9,
    vsizeBytes: 5,
    rssBytes: 6,
    rcharBytes: 7,
    wcharBytes: 8,
    readBytes: 9,
    writeBytes: 10,
  });

export interface OpenMore extends Partial<Omit<ConnOpenFrame, 'localAddress' | 'remoteAddress'>> {
  readonly local?: string;
  readonly remote?: string;
}
/** A server's connection from 203.0.113.9:50000 to 10.0.0.1:80. */
export const open = (
  connection = id(),
  { local = '10.0.0.1', remote = '203.0.113.9', ...more }: OpenMore = {},
): Uint8Array =>
  encodeConnOpen({
    ktime: connection.tsid,
    id: connection,
    family: 2,
    role: 2,
    origin: 1,
    localPort: 80,
    remotePort: 50_000,
    localAddress: v4(local),
    remoteAddress: v4(remote),
    netns: 1,
    protocol: 6,
    ...more,
  });
export const clientOpen = (connection = id(), more: OpenMore = {}): Uint8Array =>
  open(connection, { role: 1, origin: 2, localPort: 50_000, remotePort: 80, ...more });
export const received = (text: string, position: number, ktime: number, connection = id()): Uint8Array =>
  encodeConnData({
    ktime,
    id: connection,
    flags: 0,
    position,
    size: utf8.encode(text).length,
    payload: utf8.encode(text),
  });
export const sent = (text: string, position: number, ktime: number, connection = id()): Uint8Array =>
  encodeConnData({
    ktime,
    id: connection,
    flags: 1,
    position,
    size: utf8.encode(text).length,
    payload: utf8.encode(text),
  });
export const close = (ktime: number, sentBytes: number, receivedBytes: number, connection = id()): Uint8Array =>
  encodeConnClose({ ktime, id: connection, sent: sentBytes, received: receivedBytes });
export const counts = (ktime: number, sentBytes: number, receivedBytes: number, connection = id()): Uint8Array =>
  encodeConnCounts({ ktime, id: connection, sent: sentBytes, received: receivedBytes });

export const join = (...parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat(parts));
/** What every stream of these tests begins with. */
export const opening = (): Uint8Array => join(hello(), clock(), process(), snapshotEnd());

/**
 * Lines: `Qtext\n` asks, `Atext\n` answers, one message each. `Qbig` is held until it is answered, `Qboom` makes the
 * parser throw, `Qstop` makes it stop. A jump in positions loses one exchange.
 */
export const LINES: Protocol = {
  id: 1,
  name: 'lines',
  table: 'http_events',
  classify(payload) {
    if (payload[0] === 0x51) return 'request';
    return payload[0] === 0x41 ? 'response' : undefined;
  },
  start: (role, sink) => createLines(role === 'client', sink),
};

function createLines(isClient: boolean, sink: ProtocolSink): ReturnType<Protocol['start']> {
  const asked: { text: string; time: KtimeNs }[] = [];
  const ends = new Map<boolean, number>();
  let bytesHeld = 0;
  return {
    get bytesHeld() {
      return bytesHeld;
    },
    message(isSent, position, size, payload, time) {
      const expected = ends.get(isSent) ?? position;
      if (position > expected) sink.lost(time, 1, position - expected, 'gap');
      ends.set(isSent, position + size);
      const line = new TextDecoder().decode(payload).trim();
      if (line === 'Qboom') throw new Error('boom');
      if (line === 'Qstop') return sink.stop('told to');
      if (isSent === isClient) {
        asked.push({ text: line, time });
        bytesHeld += size;
        return;
      }
      const question = asked.shift();
      if (question === undefined) return sink.lost(time, 1, size, 'unmatched');
      bytesHeld -= question.text.length + 1;
      sink.exchange(time, [
        1,
        1,
        0,
        '{}',
        'GET',
        question.text,
        '',
        0,
        '{}',
        200,
        'OK',
        line,
        size,
        time - question.time,
      ]);
    },
    close(_sent, _received, time) {
      if (asked.length > 0) sink.lost(time, asked.length, 0, 'unmatched');
      asked.length = 0;
    },
    tick: () => undefined,
  };
}

export interface StoredRow {
  readonly table: string;
  readonly time: bigint;
  readonly cells: readonly Cell[];
}

export interface Bench {
  readonly intake: Intake;
  readonly rows: StoredRow[];
  /** Frames that went back to the probe. */
  readonly controls: Uint8Array[];
  feed(...parts: readonly Uint8Array[]): void;
  of(table: string): StoredRow[];
}

export function createBench(options: Partial<IntakeOptions> = {}): Bench {
  const rows: StoredRow[] = [];
  const controls: Uint8Array[] = [];
  const intake = createIntake({
    asid: 1,
    protocols: [LINES],
    hostname: 'unnamed',
    identityRules: [],
    insideRanges: [],
    bothSides: false,
    connectionsMax: 1000,
    bytesHeldMax: 1024 * 1024,
    append: (table, time, cells) => rows.push({ table, time, cells: [...cells] }),
    setWatermark: () => undefined,
    control: (frame) => controls.push(frame),
    ...options,
  });
  const framer = createFramer(intake.take);
  return {
    intake,
    rows,
    controls,
    feed: (...parts) => {
      for (const part of parts) framer.push(part);
    },
    of: (table) => rows.filter((row) => row.table === table),
  };
}

const printable = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}n` : value);
export const printed = (rows: readonly StoredRow[]): string =>
  rows.map((row) => JSON.stringify(row, printable)).join('\n');
