// Runs of whole frames -> handler calls, by offset as probe/wire.h lays the structs out. One DataView per run, no bigint
// but for the rare clock frames, one record per frame type that is filled anew each time.
import { FRAME, FrameError, PROCESS_FLAG, SAMPLE_FLAG, WIRE_MAGIC, WIRE_VERSION } from './frame.ts';
import type { ConnectionId, FrameHandler } from './frame.ts';

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] extends ConnectionId ? Mutable<ConnectionId> : T[Key] };
type Arg<Name extends keyof FrameHandler> = Mutable<Exclude<Parameters<FrameHandler[Name]>[0], number>>;

const HIGH_WORD = 4_294_967_296;
const EMPTY = new Uint8Array(0);
/** Fixed part of each struct, header included; a shorter frame of that type is corrupt. */
const BYTES_MIN = new Map<number, number>([
  [FRAME.HELLO, 184],
  [FRAME.FEATURE, 24],
  [FRAME.CLOCK, 32],
  [FRAME.PROCESS, 48],
  [FRAME.PROCESS_EXIT, 48],
  [FRAME.PROCESS_SAMPLE, 112],
  [FRAME.SAMPLE_END, 16],
  [FRAME.CONN_OPEN, 88],
  [FRAME.CONN_DATA, 56],
  [FRAME.CONN_CLOSE, 56],
  [FRAME.CONN_COUNTS, 56],
  [FRAME.DROPS, 64],
  [FRAME.DRAINED, 16],
  [FRAME.SNAPSHOT_END, 16],
  [FRAME.BLIND, 24],
  [FRAME.LOCAL_NETWORK, 40],
  [FRAME.IGNORE_TGID, 24],
]);
/** PID_MAX_LIMIT of the kernel; file descriptors are positive ints. */
const TGID_MAX = 4_194_304;
const FD_MAX = 0x7fff_ffff;
const text = new TextDecoder('utf-8');

const newId = (): Mutable<ConnectionId> => ({ tgid: 0, fd: 0, tsid: 0, tsidLow: 0, tsidHigh: 0, startTicks: 0 });

/**
 * A function that decodes runs of whole frames for `handler` and says how many there were. Throws FrameError (with the frame's offset in the stream)
 * where a frame is shorter than its struct, its inner lengths do not fit, or the HELLO is of another version.
 */
export function createDecoder(handler: FrameHandler): (run: Uint8Array, offset: number) => number {
  let view: DataView = new DataView(EMPTY.buffer);
  let bytes: Uint8Array = EMPTY;
  const u64 = (at: number): number => view.getUint32(at + 4, true) * HIGH_WORD + view.getUint32(at, true);
  const string = (start: number, end: number): string => text.decode(bytes.subarray(start, end));
  const cString = (start: number, limit: number): string => {
    const end = bytes.indexOf(0, start);
    return string(start, end < 0 || end > limit ? limit : end);
  };

  const open: Arg<'connOpen'> = {
    ktime: 0, id: newId(), family: 0, role: 0, origin: 0, localPort: 0, remotePort: 0,
    localAddress: EMPTY, remoteAddress: EMPTY, netns: 0, protocol: 0,
  }; // prettier-ignore
  const data: Arg<'connData'> = { ktime: 0, id: newId(), flags: 0, position: 0, size: 0, payload: EMPTY };
  const counts: Arg<'connCounts'> = { ktime: 0, id: newId(), sent: 0, received: 0 };
  const sample: Arg<'processSample'> = {
    ktime: 0, hasIo: false, tgid: 0, threads: 0, startTicks: 0, majorFaults: 0, minorFaults: 0, utimeNs: 0, ktimeNs: 0,
    vsizeBytes: 0, rssBytes: 0, rcharBytes: 0, wcharBytes: 0, readBytes: 0, writeBytes: 0,
  }; // prettier-ignore

  const readId = (id: Mutable<ConnectionId>, at: number, offset: number): void => {
    id.tgid = view.getUint32(at, true);
    id.fd = view.getUint32(at + 4, true);
    id.tsidLow = view.getUint32(at + 8, true);
    id.tsidHigh = view.getUint32(at + 12, true);
    id.tsid = id.tsidHigh * HIGH_WORD + id.tsidLow;
    id.startTicks = u64(at + 16);
    if (id.tgid > TGID_MAX || id.fd > FD_MAX) {
      throw new FrameError(`process id ${id.tgid} or file descriptor ${id.fd} out of range`, offset);
    }
  };

  const decodeHello = (at: number, ktime: number, offset: number): void => {
    const magic = view.getUint32(at + 16, true);
    const version = view.getUint16(at + 20, true);
    if (magic !== WIRE_MAGIC) throw new FrameError(`HELLO with magic 0x${magic.toString(16)}`, offset);
    if (version !== WIRE_VERSION) {
      throw new FrameError(`the probe speaks wire version ${version}, this agent version ${WIRE_VERSION}`, offset);
    }
    handler.hello({
      ktime,
      version,
      cpus: view.getUint16(at + 22, true),
      pageSize: view.getUint32(at + 24, true),
      clockTicks: view.getUint32(at + 28, true),
      features: view.getUint32(at + 32, true),
      startKtime: u64(at + 40),
      probeTgid: view.getUint32(at + 48, true),
      captureMax: view.getUint32(at + 52, true),
      release: cString(at + 56, at + 120),
      hostname: cString(at + 120, at + 184),
    });
  };

  const decodeProcess = (at: number, ktime: number, length: number, offset: number): void => {
    const commEnd = at + 48 + view.getUint16(at + 36, true);
    const exeEnd = commEnd + 1 + view.getUint16(at + 38, true);
    const cgroupEnd = exeEnd + 1 + view.getUint16(at + 40, true);
    const cmdlineEnd = cgroupEnd + 1 + view.getUint16(at + 42, true);
    if (cmdlineEnd > at + length) throw new FrameError('PROCESS texts are longer than the frame', offset);
    handler.process({
      ktime,
      isExec: (view.getUint16(at + 6, true) & PROCESS_FLAG.EXEC) !== 0,
      tgid: view.getUint32(at + 16, true),
      parentTgid: view.getUint32(at + 20, true),
      startTicks: u64(at + 24),
      uid: view.getUint32(at + 32, true),
      comm: string(at + 48, commEnd),
      exe: string(commEnd + 1, exeEnd),
      cgroup: string(exeEnd + 1, cgroupEnd),
      cmdline: string(cgroupEnd + 1, cmdlineEnd),
    });
  };

  const decodeSample = (at: number, ktime: number): void => {
    sample.ktime = ktime;
    sample.hasIo = (view.getUint16(at + 6, true) & SAMPLE_FLAG.IO) !== 0;
    sample.tgid = view.getUint32(at + 16, true);
    sample.threads = view.getUint32(at + 20, true);
    sample.startTicks = u64(at + 24);
    sample.majorFaults = u64(at + 32);
    sample.minorFaults = u64(at + 40);
    sample.utimeNs = u64(at + 48);
    sample.ktimeNs = u64(at + 56);
    sample.vsizeBytes = u64(at + 64);
    sample.rssBytes = u64(at + 72);
    sample.rcharBytes = u64(at + 80);
    sample.wcharBytes = u64(at + 88);
    sample.readBytes = u64(at + 96);
    sample.writeBytes = u64(at + 104);
    handler.processSample(sample);
  };

  const decodeOpen = (at: number, ktime: number, offset: number): void => {
    open.ktime = ktime;
    readId(open.id, at + 16, offset);
    open.family = view.getUint16(at + 40, true);
    open.role = bytes[at + 42] ?? 0;
    open.origin = bytes[at + 43] ?? 0;
    open.localPort = view.getUint16(at + 44, true);
    open.remotePort = view.getUint16(at + 46, true);
    open.localAddress = bytes.subarray(at + 48, at + 64);
    open.remoteAddress = bytes.subarray(at + 64, at + 80);
    open.netns = view.getUint32(at + 80, true);
    open.protocol = bytes[at + 84] ?? 0;
    handler.connOpen(open);
  };

  const decodeData = (at: number, ktime: number, length: number, offset: number): void => {
    const captured = view.getUint32(at + 52, true);
    data.ktime = ktime;
    data.flags = view.getUint16(at + 6, true);
    readId(data.id, at + 16, offset);
    data.position = u64(at + 40);
    data.size = view.getUint32(at + 48, true);
    if (captured > length - 56 || captured > data.size) {
      throw new FrameError(`CONN_DATA of ${length} bytes claims ${captured} captured of ${data.size}`, offset);
    }
    data.payload = captured === 0 ? EMPTY : bytes.subarray(at + 56, at + 56 + captured);
    handler.connData(data);
  };

  const readCounts = (at: number, ktime: number, offset: number): Arg<'connCounts'> => {
    counts.ktime = ktime;
    readId(counts.id, at + 16, offset);
    counts.sent = u64(at + 40);
    counts.received = u64(at + 48);
    return counts;
  };

  const decodeFrame = (type: number, at: number, length: number, offset: number): void => {
    const ktime = u64(at + 8);
    switch (type) {
      case FRAME.CONN_DATA:
        return decodeData(at, ktime, length, offset);
      case FRAME.CONN_OPEN:
        return decodeOpen(at, ktime, offset);
      case FRAME.CONN_CLOSE:
        return handler.connClose(readCounts(at, ktime, offset));
      case FRAME.CONN_COUNTS:
        return handler.connCounts(readCounts(at, ktime, offset));
      case FRAME.DRAINED:
        return handler.drained(ktime);
      case FRAME.PROCESS_SAMPLE:
        return decodeSample(at, ktime);
      case FRAME.SAMPLE_END:
        return handler.sampleEnd(ktime);
      case FRAME.HELLO:
        return decodeHello(at, ktime, offset);
      case FRAME.FEATURE: {
        const name = cString(at + 24, at + length);
        const reasonAt = Math.min(bytes.indexOf(0, at + 24) + 1 || at + length, at + length);
        const reason = cString(reasonAt, at + length);
        return handler.feature({
          ktime,
          id: view.getUint32(at + 16, true),
          error: view.getInt32(at + 20, true),
          name,
          reason,
        });
      }
      case FRAME.CLOCK:
        return handler.clock({
          ktime,
          realtime: view.getBigUint64(at + 16, true),
          boottime: view.getBigUint64(at + 24, true),
        });
      case FRAME.PROCESS:
        return decodeProcess(at, ktime, length, offset);
      case FRAME.PROCESS_EXIT:
        return handler.processExit({
          ktime,
          tgid: view.getUint32(at + 16, true),
          exitCode: view.getUint32(at + 20, true),
          startTicks: u64(at + 24),
          comm: cString(at + 32, at + 48),
        });
      case FRAME.DROPS:
        return handler.drops({
          ktime,
          dataRingFull: u64(at + 16),
          controlRingFull: u64(at + 24),
          connectionsFull: u64(at + 32),
          payloadFaults: u64(at + 40),
          recursionMisses: u64(at + 48),
          compatCalls: u64(at + 56),
        });
      case FRAME.SNAPSHOT_END:
        return handler.snapshotEnd(ktime);
      case FRAME.BLIND:
        return handler.blind({ ktime, endKtime: u64(at + 16) });
      case FRAME.LOCAL_NETWORK:
        return handler.localNetwork({
          ktime,
          family: view.getUint16(at + 16, true),
          prefixBits: view.getUint16(at + 18, true),
          address: bytes.subarray(at + 24, at + 40),
        });
      case FRAME.IGNORE_TGID:
        return handler.ignoreTgid({ ktime, tgid: view.getUint32(at + 16, true) });
      default:
        return handler.unknown(type);
    }
  };

  return (run, offset) => {
    bytes = run;
    view = new DataView(run.buffer, run.byteOffset, run.byteLength);
    let at = 0;
    let frames = 0;
    while (at < run.length) {
      const length = view.getUint32(at, true);
      const type = view.getUint16(at + 4, true);
      const bytesMin = BYTES_MIN.get(type) ?? 16;
      if (length < bytesMin)
        throw new FrameError(`frame of type ${type} has ${length} bytes, needs ${bytesMin}`, offset + at);
      decodeFrame(type, at, length, offset + at);
      at += length;
      frames += 1;
    }
    return frames;
  };
}
