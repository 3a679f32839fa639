import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createDecoder } from '../../../src/collector/frames/decode.ts';
import * as encode from '../../../src/collector/frames/encode.ts';
import type { FrameHandler } from '../../../src/collector/frames/frame.ts';
import { createFramer } from '../../../src/collector/frames/framer.ts';

type Said = readonly [string, unknown];

const HANDLERS = [
  'hello', 'feature', 'clock', 'process', 'processExit', 'processSample', 'sampleEnd', 'connOpen', 'connData', 'connClose',
  'connCounts', 'drops', 'drained', 'snapshotEnd', 'blind', 'localNetwork', 'ignoreTgid', 'unknown',
] as const; // prettier-ignore

/** Keeps a deep copy of all that the decoder says: its records are used again. */
function listener(): { readonly handler: FrameHandler; readonly said: Said[] } {
  const said: Said[] = [];
  const entries = HANDLERS.map(
    (name) => [name, (argument: unknown) => said.push([name, structuredClone(argument)])] as const,
  );
  return { handler: Object.fromEntries(entries) as unknown as FrameHandler, said };
}

function decode(chunks: Iterable<Uint8Array>): Said[] {
  const { handler, said } = listener();
  const framer = createFramer(createDecoder(handler));
  for (const chunk of chunks) framer.push(chunk);
  framer.end();
  return said;
}

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const safe = fc.maxSafeNat();
const ktime = safe;
const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 });
const word = fc.stringMatching(/^[ -~]{0,40}$/);
const id = fc
  .tuple(fc.integer({ min: 0, max: 4_194_304 }), fc.integer({ min: 0, max: 0x7fff_ffff }), safe, safe)
  .map(([tgid, fd, tsid, ticks]) => encode.connectionId(tgid, fd, tsid, ticks));
const counts = fc.record({ ktime, id, sent: safe, received: safe });
const drops = fc.record({
  ktime,
  dataRingFull: safe,
  controlRingFull: safe,
  connectionsFull: safe,
  payloadFaults: safe,
  recursionMisses: safe,
  compatCalls: safe,
});
const sample = fc.record({
  ktime,
  hasIo: fc.boolean(),
  tgid: u32,
  threads: u32,
  startTicks: safe,
  majorFaults: safe,
  minorFaults: safe,
  utimeNs: safe,
  ktimeNs: safe,
  vsizeBytes: safe,
  rssBytes: safe,
  rcharBytes: safe,
  wcharBytes: safe,
  readBytes: safe,
  writeBytes: safe,
});

/** What goes in, and what must come out. */
const frame: fc.Arbitrary<{ bytes: Uint8Array; said: Said }> = fc.oneof(
  fc.record({ ktime, version: fc.constant(1), cpus: u16, pageSize: u32, clockTicks: u32, features: u32, startKtime: safe, probeTgid: u32, captureMax: u32, release: word, hostname: word }).map((f) => ({ bytes: encode.encodeHello(f), said: ['hello', f] as const })),
  fc.record({ ktime, id: u32, error: fc.integer({ min: 0, max: 4095 }), name: word, reason: word }).map((f) => ({ bytes: encode.encodeFeature(f), said: ['feature', f] as const })),
  fc.record({ ktime, realtime: fc.bigInt(0n, 2n ** 64n - 1n), boottime: fc.bigInt(0n, 2n ** 64n - 1n) }).map((f) => ({ bytes: encode.encodeClock(f), said: ['clock', f] as const })),
  fc.record({ ktime, isExec: fc.boolean(), tgid: u32, parentTgid: u32, startTicks: safe, uid: u32, comm: word, exe: fc.string(), cgroup: word, cmdline: fc.string({ unit: 'grapheme' }).map((text) => `a\0${text}`) }).map((f) => ({ bytes: encode.encodeProcess(f), said: ['process', f] as const })),
  fc.record({ ktime, tgid: u32, exitCode: u32, startTicks: safe, comm: fc.stringMatching(/^[a-z]{0,15}$/) }).map((f) => ({ bytes: encode.encodeProcessExit(f), said: ['processExit', f] as const })),
  sample.map((f) => ({ bytes: encode.encodeProcessSample(f), said: ['processSample', f] as const })),
  ktime.map((k) => ({ bytes: encode.encodeSampleEnd(k), said: ['sampleEnd', k] as const })),
  fc.record({ ktime, id, family: u16, role: fc.nat(255), origin: fc.nat(255), localPort: u16, remotePort: u16, localAddress: bytes16, remoteAddress: bytes16, netns: u32, protocol: fc.nat(255) }).map((f) => ({ bytes: encode.encodeConnOpen(f), said: ['connOpen', f] as const })),
  fc.record({ ktime, id, flags: fc.nat(7), position: safe, size: fc.integer({ min: 3000, max: 0xffff_ffff }), payload: fc.uint8Array({ maxLength: 3000 }) }).map((f) => ({ bytes: encode.encodeConnData(f), said: ['connData', f] as const })),
  counts.map((f) => ({ bytes: encode.encodeConnClose(f), said: ['connClose', f] as const })),
  counts.map((f) => ({ bytes: encode.encodeConnCounts(f), said: ['connCounts', f] as const })),
  drops.map((f) => ({ bytes: encode.encodeDrops(f), said: ['drops', f] as const })),
  ktime.map((k) => ({ bytes: encode.encodeDrained(k), said: ['drained', k] as const })),
  ktime.map((k) => ({ bytes: encode.encodeSnapshotEnd(k), said: ['snapshotEnd', k] as const })),
  fc.record({ ktime, endKtime: safe }).map((f) => ({ bytes: encode.encodeBlind(f), said: ['blind', f] as const })),
  fc.record({ ktime, family: u16, prefixBits: u16, address: bytes16 }).map((f) => ({ bytes: encode.encodeLocalNetwork(f), said: ['localNetwork', f] as const })),
  fc.record({ ktime, tgid: u32 }).map((f) => ({ bytes: encode.encodeIgnoreTgid(f), said: ['ignoreTgid', f] as const })),
  id.map((one) => ({ bytes: encode.encodeMute(one), said: ['unknown', 65] as const })),
); // prettier-ignore

const cut = (bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] => {
  const chunks: Uint8Array[] = [];
  for (let at = 0, i = 0; at < bytes.length; i += 1) chunks.push(bytes.slice(at, (at += sizes[i % sizes.length] ?? 1)));
  return chunks;
};
const joined = (frames: readonly { bytes: Uint8Array }[]): Uint8Array =>
  Uint8Array.from(Buffer.concat(frames.map(({ bytes }) => bytes)));

test('what is encoded is decoded, however the stream is cut', () => {
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1 }),
      (frames, sizes) => {
        const bytes = joined(frames);
        expect(decode(cut(bytes, sizes))).toEqual(frames.map(({ said }) => said));
      },
    ),
    { numRuns: 300 },
  );
});

describe('bytes that are no frames', () => {
  test('never hang, and never throw anything but a frame error', () => {
    const attempt = (chunks: readonly Uint8Array[]): void => {
      try {
        decode(chunks);
      } catch (error) {
        expect(error).toHaveProperty('name', 'FrameError');
      }
    };
    fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), attempt), { numRuns: 500 });
    fc.assert(
      fc.property(fc.array(frame, { minLength: 1, maxLength: 5 }), fc.nat(), fc.nat(255), (frames, at, value) => {
        const bytes = joined(frames);
        bytes[at % bytes.length] = value;
        attempt([bytes]);
      }),
      { numRuns: 500 },
    );
  });

  const withLength = (length: number): Uint8Array => {
    const bytes = encode.encodeDrained(1);
    new DataView(bytes.buffer).setUint32(0, length, true);
    return bytes;
  };
  test.each([0, 8, 17, 65_544, 0xffff_fff8])('with a length of %i are named with their place', (length) => {
    const bytes = joined([{ bytes: encode.encodeDrained(1) }, { bytes: withLength(length) }]);
    expect(() => decode([bytes])).toThrow(`frame length ${length} is not a multiple of 8 in 16..65536 at byte 16`);
    expect(() => decode(cut(bytes, [1]))).toThrow('at byte 16');
  });

  test('that end inside a frame say so', () => {
    expect(() => decode([encode.encodeDrained(1), encode.encodeDrained(2).slice(0, 9)])).toThrow(
      'the stream ends inside a frame, after 9 of its bytes at byte 16',
    );
  });

  test('that claim more payload than there is are refused', () => {
    const bytes = encode.encodeConnData({
      ktime: 1,
      id: encode.connectionId(1, 2, 3, 4),
      flags: 0,
      position: 0,
      size: 8,
      payload: new Uint8Array(8),
    });
    new DataView(bytes.buffer).setUint32(52, 16, true);
    expect(() => decode([bytes])).toThrow('CONN_DATA of 64 bytes claims 16 captured of 8 at byte 0');
    new DataView(bytes.buffer).setUint32(48, 99, true);
    expect(() => decode([bytes, encode.encodeDrained(1)])).toThrow(
      'CONN_DATA of 64 bytes claims 16 captured of 99 at byte 0',
    );
  });

  test('that are shorter than their type needs are refused', () => {
    const bytes = encode.encodeDrained(1);
    new DataView(bytes.buffer).setUint16(4, 8, true);
    expect(() => decode([bytes])).toThrow('frame of type 8 has 16 bytes, needs 88 at byte 0');
  });
});

test('a probe of another version is refused by name of both', () => {
  const bytes = encode.encodeHello({
    ktime: 1,
    version: 9,
    cpus: 1,
    pageSize: 1,
    clockTicks: 100,
    features: 0,
    startKtime: 0,
    probeTgid: 1,
    captureMax: 1,
    release: '',
    hostname: '',
  });
  expect(() => decode([bytes])).toThrow('the probe speaks wire version 9, this agent version 1 at byte 0');
});

test('the largest frame fits the carry buffer, byte by byte', () => {
  const payload = new Uint8Array(65_536 - 56).fill(7);
  const bytes = encode.encodeConnData({
    ktime: 1,
    id: encode.connectionId(1, 2, 3, 4),
    flags: 1,
    position: 0,
    size: payload.length,
    payload,
  });
  expect(decode(cut(bytes, [1000]))).toHaveLength(1);
  expect(() =>
    encode.encodeConnData({
      ktime: 1,
      id: encode.connectionId(1, 2, 3, 4),
      flags: 1,
      position: 0,
      size: 70_000,
      payload: new Uint8Array(65_488),
    }),
  ).toThrow(RangeError);
});

test('the encoder writes what the C header lays out', () => {
  const bytes = encode.encodeFollow(
    { tgid: 0x01020304, fd: 5, tsid: 0, tsidLow: 0xaabbccdd, tsidHigh: 0x11223344, startTicks: 6 },
    0x4000,
  );
  expect(Buffer.from(bytes).toString('hex')).toBe(
    '30000000' +
      '4000' +
      '0000' +
      '0000000000000000' +
      '04030201' +
      '05000000' +
      'ddccbbaa44332211' +
      '0600000000000000' +
      '00400000' +
      '00000000',
  );
});
