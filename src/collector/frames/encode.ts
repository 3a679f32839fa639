// The decoder's mirror: records -> frames as probe/wire.h lays them out. For what the agent says to the probe, for the
// frames that its own side adds to the stream, for recordings made of something else, and for tests.
import { FRAME, PROCESS_FLAG, SAMPLE_FLAG, WIRE_FRAME_BYTES_MAX, WIRE_MAGIC, WIRE_VERSION } from './frame.ts';
import type {
  BlindFrame, ClockFrame, ConnCountsFrame, ConnDataFrame, ConnOpenFrame, ConnectionId, DropsFrame, FeatureFrame, HelloFrame,
  IgnoreTgidFrame, LocalNetworkFrame, ProcessExitFrame, ProcessFrame, ProcessSampleFrame,
} from './frame.ts'; // prettier-ignore

const HIGH_WORD = 4_294_967_296;
const encoder = new TextEncoder();

interface Writer {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** An empty frame: header written, padded to a multiple of 8. Throws RangeError beyond the largest frame. */
function frame(type: number, ktime: number, length: number, flags = 0): Writer {
  const padded = Math.ceil(length / 8) * 8;
  if (padded > WIRE_FRAME_BYTES_MAX)
    throw new RangeError(`a frame of ${padded} bytes is larger than ${WIRE_FRAME_BYTES_MAX}`);
  const bytes = new Uint8Array(padded);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, padded, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  putU64(view, 8, ktime);
  return { bytes, view };
}

function putU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % HIGH_WORD, true);
  view.setUint32(at + 4, Math.floor(value / HIGH_WORD), true);
}

function putId(view: DataView, id: ConnectionId): void {
  view.setUint32(16, id.tgid, true);
  view.setUint32(20, id.fd, true);
  view.setUint32(24, id.tsidLow, true);
  view.setUint32(28, id.tsidHigh, true);
  putU64(view, 32, id.startTicks);
}

/** A connection id from a `tsid` that is exact as a number. */
export const connectionId = (tgid: number, fd: number, tsid: number, startTicks: number): ConnectionId => ({
  tgid,
  fd,
  tsid,
  tsidLow: tsid % HIGH_WORD,
  tsidHigh: Math.floor(tsid / HIGH_WORD),
  startTicks,
});

/** Host name and release are cut to 63 bytes. */
export function encodeHello(hello: Omit<HelloFrame, 'version'> & { readonly version?: number }): Uint8Array {
  const { bytes, view } = frame(FRAME.HELLO, hello.ktime, 184);
  view.setUint32(16, WIRE_MAGIC, true);
  view.setUint16(20, hello.version ?? WIRE_VERSION, true);
  view.setUint16(22, hello.cpus, true);
  view.setUint32(24, hello.pageSize, true);
  view.setUint32(28, hello.clockTicks, true);
  view.setUint32(32, hello.features, true);
  putU64(view, 40, hello.startKtime);
  view.setUint32(48, hello.probeTgid, true);
  view.setUint32(52, hello.captureMax, true);
  bytes.set(encoder.encode(hello.release).subarray(0, 63), 56);
  bytes.set(encoder.encode(hello.hostname).subarray(0, 63), 120);
  return bytes;
}

export function encodeFeature(feature: FeatureFrame): Uint8Array {
  const text = encoder.encode(`${feature.name}\0${feature.reason}\0`);
  const { bytes, view } = frame(FRAME.FEATURE, feature.ktime, 24 + text.length);
  view.setUint32(16, feature.id, true);
  view.setInt32(20, feature.error, true);
  bytes.set(text, 24);
  return bytes;
}

export function encodeClock(clock: ClockFrame): Uint8Array {
  const { bytes, view } = frame(FRAME.CLOCK, clock.ktime, 32);
  view.setBigUint64(16, clock.realtime, true);
  view.setBigUint64(24, clock.boottime, true);
  return bytes;
}

export function encodeProcess(process: ProcessFrame): Uint8Array {
  const texts = [process.comm, process.exe, process.cgroup, process.cmdline].map((text) => encoder.encode(text));
  const length = texts.reduce((sum, text) => sum + text.length + 1, 48);
  const { bytes, view } = frame(FRAME.PROCESS, process.ktime, length, process.isExec ? PROCESS_FLAG.EXEC : 0);
  view.setUint32(16, process.tgid, true);
  view.setUint32(20, process.parentTgid, true);
  putU64(view, 24, process.startTicks);
  view.setUint32(32, process.uid, true);
  let at = 48;
  texts.forEach((text, i) => {
    view.setUint16(36 + 2 * i, text.length, true);
    bytes.set(text, at);
    at += text.length + 1;
  });
  return bytes;
}

/** `comm` is cut to 15 bytes. */
export function encodeProcessExit(exit: ProcessExitFrame): Uint8Array {
  const { bytes, view } = frame(FRAME.PROCESS_EXIT, exit.ktime, 48);
  view.setUint32(16, exit.tgid, true);
  view.setUint32(20, exit.exitCode, true);
  putU64(view, 24, exit.startTicks);
  bytes.set(encoder.encode(exit.comm).subarray(0, 15), 32);
  return bytes;
}

export function encodeProcessSample(sample: ProcessSampleFrame): Uint8Array {
  const { bytes, view } = frame(FRAME.PROCESS_SAMPLE, sample.ktime, 112, sample.hasIo ? SAMPLE_FLAG.IO : 0);
  view.setUint32(16, sample.tgid, true);
  view.setUint32(20, sample.threads, true);
  const words = [
    sample.startTicks, sample.majorFaults, sample.minorFaults, sample.utimeNs, sample.ktimeNs, sample.vsizeBytes, sample.rssBytes,
    sample.rcharBytes, sample.wcharBytes, sample.readBytes, sample.writeBytes,
  ]; // prettier-ignore
  words.forEach((word, i) => putU64(view, 24 + 8 * i, word));
  return bytes;
}

export function encodeConnOpen(open: ConnOpenFrame): Uint8Array {
  const { bytes, view } = frame(FRAME.CONN_OPEN, open.ktime, 88);
  putId(view, open.id);
  view.setUint16(40, open.family, true);
  bytes[42] = open.role;
  bytes[43] = open.origin;
  view.setUint16(44, open.localPort, true);
  view.setUint16(46, open.remotePort, true);
  bytes.set(open.localAddress, 48);
  bytes.set(open.remoteAddress, 64);
  view.setUint32(80, open.netns, true);
  bytes[84] = open.protocol;
  return bytes;
}

export function encodeConnData(data: ConnDataFrame): Uint8Array {
  const { bytes, view } = frame(FRAME.CONN_DATA, data.ktime, 56 + data.payload.length, data.flags);
  putId(view, data.id);
  putU64(view, 40, data.position);
  view.setUint32(48, data.size, true);
  view.setUint32(52, data.payload.length, true);
  bytes.set(data.payload, 56);
  return bytes;
}

function encodeCounts(type: number, counts: ConnCountsFrame): Uint8Array {
  const { bytes, view } = frame(type, counts.ktime, 56);
  putId(view, counts.id);
  putU64(view, 40, counts.sent);
  putU64(view, 48, counts.received);
  return bytes;
}

export const encodeConnClose = (counts: ConnCountsFrame): Uint8Array => encodeCounts(FRAME.CONN_CLOSE, counts);
export const encodeConnCounts = (counts: ConnCountsFrame): Uint8Array => encodeCounts(FRAME.CONN_COUNTS, counts);

export function encodeDrops(drops: DropsFrame): Uint8Array {
  const { bytes, view } = frame(FRAME.DROPS, drops.ktime, 64);
  const words = [
    drops.dataRingFull, drops.controlRingFull, drops.connectionsFull,
    drops.payloadFaults, drops.recursionMisses, drops.compatCalls,
  ]; // prettier-ignore
  words.forEach((word, i) => putU64(view, 16 + 8 * i, word));
  return bytes;
}

export const encodeDrained = (ktime: number): Uint8Array => frame(FRAME.DRAINED, ktime, 16).bytes;
export const encodeSampleEnd = (ktime: number): Uint8Array => frame(FRAME.SAMPLE_END, ktime, 16).bytes;
export const encodeSnapshotEnd = (ktime: number): Uint8Array => frame(FRAME.SNAPSHOT_END, ktime, 16).bytes;

export function encodeBlind(blind: BlindFrame): Uint8Array {
  const { bytes, view } = frame(FRAME.BLIND, blind.ktime, 24);
  putU64(view, 16, blind.endKtime);
  return bytes;
}

export function encodeLocalNetwork(network: LocalNetworkFrame): Uint8Array {
  const { bytes, view } = frame(FRAME.LOCAL_NETWORK, network.ktime, 40);
  view.setUint16(16, network.family, true);
  view.setUint16(18, network.prefixBits, true);
  bytes.set(network.address, 24);
  return bytes;
}

export function encodeIgnoreTgid(ignore: IgnoreTgidFrame): Uint8Array {
  const { bytes, view } = frame(FRAME.IGNORE_TGID, ignore.ktime, 24);
  view.setUint32(16, ignore.tgid, true);
  return bytes;
}

/** Agent to probe: send payload of this connection, `captureMax` bytes of a message at most. */
export function encodeFollow(id: ConnectionId, captureMax: number): Uint8Array {
  const { bytes, view } = frame(FRAME.FOLLOW, 0, 48);
  putId(view, id);
  view.setUint32(40, captureMax, true);
  return bytes;
}

/** Agent to probe: no more payload of this connection; its counters go on. */
export function encodeMute(id: ConnectionId): Uint8Array {
  const { bytes, view } = frame(FRAME.MUTE, 0, 40);
  putId(view, id);
  return bytes;
}
