// The frames of probe/wire.h as plain records, and the handler that takes them. The decoder owns one record per type and
// fills it anew for each frame: a handler copies what it keeps, payload included.
import type { KtimeNs } from '../protocols/protocol.ts';

export const WIRE_MAGIC = 0x43554c53;
export const WIRE_VERSION = 1;
export const WIRE_HEADER_BYTES = 16;
export const WIRE_FRAME_BYTES_MAX = 65_536;
export const WIRE_CAPTURE_BYTES_MAX = 16_384;
/** Messages of a connection that the probe sends before it has heard FOLLOW or MUTE. */
export const WIRE_UNDECIDED_MESSAGES = 8;

/** `enum wire_type` of probe/wire.h. */
export const FRAME = {
  HELLO: 1,
  FEATURE: 2,
  CLOCK: 3,
  PROCESS: 4,
  PROCESS_EXIT: 5,
  PROCESS_SAMPLE: 6,
  SAMPLE_END: 7,
  CONN_OPEN: 8,
  CONN_DATA: 9,
  CONN_CLOSE: 10,
  CONN_COUNTS: 11,
  DROPS: 12,
  DRAINED: 13,
  SNAPSHOT_END: 14,
  BLIND: 15,
  LOCAL_NETWORK: 16,
  FOLLOW: 64,
  MUTE: 65,
  IGNORE_TGID: 66,
} as const;

/** `enum wire_feature_id`. */
export const FEATURE = {
  SYS_EXIT: 0,
  BPF_LOOP: 1,
  SOCKET_SNAPSHOT: 2,
  PROCESS_EVENTS: 3,
  PROCESS_SAMPLE: 4,
  SENDFILE: 5,
  CGROUP_FILTER: 6,
} as const;

export const ROLE = { CLIENT: 1, SERVER: 2, UNKNOWN: 4 } as const;
export const ORIGIN = { ACCEPT: 1, CONNECT: 2, DATA: 3, SNAPSHOT: 4 } as const;
export const DATA_FLAG = { SENT: 1, SIZE_ONLY: 2, LOST: 4 } as const;
export const PROCESS_FLAG = { EXEC: 1 } as const;
export const SAMPLE_FLAG = { IO: 1 } as const;
export const ADDRESS_FAMILY = { INET: 2, INET6: 10 } as const;
export const IP_PROTOCOL = { TCP: 6, UDP: 17 } as const;

/**
 * One open socket description in one process. `tsid` is kernel time, exact as a number for 104 days of uptime only, so
 * its two words travel along: what goes back to the probe must be equal to the bit.
 */
export interface ConnectionId {
  readonly tgid: number;
  readonly fd: number;
  readonly tsid: KtimeNs;
  readonly tsidLow: number;
  readonly tsidHigh: number;
  readonly startTicks: number;
}

interface Timed {
  readonly ktime: KtimeNs;
}

export interface HelloFrame extends Timed {
  readonly version: number;
  readonly cpus: number;
  readonly pageSize: number;
  readonly clockTicks: number;
  /** Low 32 bits of the mask: bit i says that feature i is attached. */
  readonly features: number;
  readonly startKtime: KtimeNs;
  readonly probeTgid: number;
  readonly captureMax: number;
  readonly release: string;
  readonly hostname: string;
}

export interface FeatureFrame extends Timed {
  readonly id: number;
  /** errno, positive; 0 where the feature works. */
  readonly error: number;
  readonly name: string;
  readonly reason: string;
}

/** The other clocks, in whole nanoseconds, read next to `ktime`. */
export interface ClockFrame extends Timed {
  readonly realtime: bigint;
  readonly boottime: bigint;
}

export interface ProcessFrame extends Timed {
  readonly isExec: boolean;
  readonly tgid: number;
  readonly parentTgid: number;
  readonly startTicks: number;
  readonly uid: number;
  readonly comm: string;
  readonly exe: string;
  readonly cgroup: string;
  /** Arguments separated by NUL. */
  readonly cmdline: string;
}

export interface ProcessExitFrame extends Timed {
  readonly tgid: number;
  /** As wait(2) gives it: status << 8 | signal. */
  readonly exitCode: number;
  readonly startTicks: number;
  readonly comm: string;
}

export interface ProcessSampleFrame extends Timed {
  readonly hasIo: boolean;
  readonly tgid: number;
  readonly threads: number;
  readonly startTicks: number;
  readonly majorFaults: number;
  readonly minorFaults: number;
  readonly utimeNs: number;
  readonly ktimeNs: number;
  readonly vsizeBytes: number;
  readonly rssBytes: number;
  readonly rcharBytes: number;
  readonly wcharBytes: number;
  readonly readBytes: number;
  readonly writeBytes: number;
}

export interface ConnOpenFrame extends Timed {
  readonly id: ConnectionId;
  readonly family: number;
  readonly role: number;
  readonly origin: number;
  readonly localPort: number;
  readonly remotePort: number;
  /** 16 bytes, IPv4 in the first 4; views, valid during the call. */
  readonly localAddress: Uint8Array;
  readonly remoteAddress: Uint8Array;
  readonly netns: number;
  readonly protocol: number;
}

export interface ConnDataFrame extends Timed {
  readonly id: ConnectionId;
  readonly flags: number;
  readonly position: number;
  readonly size: number;
  /** The captured beginning of the message; a view, valid during the call. */
  readonly payload: Uint8Array;
}

/** CONN_CLOSE and CONN_COUNTS: stream positions reached. */
export interface ConnCountsFrame extends Timed {
  readonly id: ConnectionId;
  readonly sent: number;
  readonly received: number;
}

/** Cumulative since the probe's start. */
export interface DropsFrame extends Timed {
  readonly dataRingFull: number;
  readonly controlRingFull: number;
  readonly connectionsFull: number;
  readonly payloadFaults: number;
  readonly recursionMisses: number;
  readonly compatCalls: number;
}

export interface BlindFrame extends Timed {
  readonly endKtime: KtimeNs;
}

/** A range of addresses that belong to the host (or to its cluster). `address`: 16 bytes, IPv4 in the first 4. */
export interface LocalNetworkFrame extends Timed {
  readonly family: number;
  readonly prefixBits: number;
  readonly address: Uint8Array;
}

export interface IgnoreTgidFrame extends Timed {
  readonly tgid: number;
}

/** Takes decoded frames in stream order. Records and views are valid only during the call. */
export interface FrameHandler {
  hello(frame: HelloFrame): void;
  feature(frame: FeatureFrame): void;
  clock(frame: ClockFrame): void;
  process(frame: ProcessFrame): void;
  processExit(frame: ProcessExitFrame): void;
  processSample(frame: ProcessSampleFrame): void;
  sampleEnd(ktime: KtimeNs): void;
  connOpen(frame: ConnOpenFrame): void;
  connData(frame: ConnDataFrame): void;
  connClose(frame: ConnCountsFrame): void;
  connCounts(frame: ConnCountsFrame): void;
  drops(frame: DropsFrame): void;
  drained(ktime: KtimeNs): void;
  snapshotEnd(ktime: KtimeNs): void;
  blind(frame: BlindFrame): void;
  localNetwork(frame: LocalNetworkFrame): void;
  ignoreTgid(frame: IgnoreTgidFrame): void;
  /** A type that this build does not know, or one that only travels towards the probe. */
  unknown(type: number): void;
}

/** The bytes are no stream of frames (any more). `offset` is that of the bad frame in its stream. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(`${message} at byte ${offset}`);
    this.offset = offset;
  }
}
