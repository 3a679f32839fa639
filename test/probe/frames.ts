// The probe's frames read anew from probe/wire.h, on purpose without the agent's decoder: two readers, one contract.

export interface ConnId {
  readonly tgid: number;
  readonly fd: number;
  readonly tsid: bigint;
  readonly startTicks: bigint;
}
interface Common {
  readonly flags: number;
  readonly ktime: bigint;
  readonly id: ConnId;
}
export type Frame =
  | (Common & {
      readonly kind: 'hello';
      readonly version: number;
      readonly features: number;
      readonly probeTgid: number;
    })
  | (Common & { readonly kind: 'feature'; readonly feature: number; readonly error: number; readonly text: string })
  | (Common & { readonly kind: 'clock'; readonly realtime: bigint; readonly boottime: bigint })
  | (Common & {
      readonly kind: 'process';
      readonly parent: number;
      readonly uid: number;
      readonly texts: readonly string[];
    })
  | (Common & { readonly kind: 'exit'; readonly code: number; readonly comm: string })
  | (Common & { readonly kind: 'sample'; readonly threads: number; readonly values: Record<SampleField, number> })
  | (Common & {
      readonly kind: 'open';
      readonly family: number;
      readonly role: number;
      readonly origin: number;
      readonly ports: readonly [number, number];
      readonly addresses: readonly [string, string];
      readonly protocol: number;
    })
  | (Common & { readonly kind: 'data'; readonly position: number; readonly size: number; readonly payload: Buffer })
  | (Common & { readonly kind: 'close' | 'counts'; readonly sent: number; readonly received: number })
  | (Common & { readonly kind: 'drops'; readonly drops: readonly number[] })
  | (Common & { readonly kind: 'ignore' })
  | (Common & { readonly kind: 'drained' | 'snapshotEnd' | 'sampleEnd' });
export type Kind = Frame['kind'];
export type FrameOf<K extends Kind> = Frame extends infer F
  ? F extends { kind: infer Own }
    ? K extends Own
      ? F
      : never
    : never
  : never;

const SAMPLE_FIELDS = [
  'majorFaults',
  'minorFaults',
  'utime',
  'stime',
  'vsize',
  'rss',
  'rchar',
  'wchar',
  'readBytes',
  'writeBytes',
] as const;
type SampleField = (typeof SAMPLE_FIELDS)[number];

const NO_ID: ConnId = { tgid: 0, fd: -1, tsid: 0n, startTicks: 0n };
const cString = (bytes: Buffer): string => bytes.subarray(0, bytes.indexOf(0)).toString();

/** One whole frame. Throws on a type that the probe does not send and on lengths that do not fit. */
export function decode(frame: Buffer): Frame {
  const u64 = (at: number): number => Number(frame.readBigUInt64LE(at));
  const connId = (): ConnId => ({
    tgid: frame.readUInt32LE(16),
    fd: frame.readUInt32LE(20),
    tsid: frame.readBigUInt64LE(24),
    startTicks: frame.readBigUInt64LE(32),
  });
  const processId = (): ConnId => ({ ...NO_ID, tgid: frame.readUInt32LE(16), startTicks: frame.readBigUInt64LE(24) });
  const type = frame.readUInt16LE(4);
  const common = { flags: frame.readUInt16LE(6), ktime: frame.readBigUInt64LE(8), id: NO_ID };
  if (frame.length % 8 !== 0) throw new Error(`frame of type ${type} has ${frame.length} bytes`);
  switch (type) {
    case 1:
      return {
        ...common,
        kind: 'hello',
        version: frame.readUInt16LE(20),
        features: u64(32),
        probeTgid: frame.readUInt32LE(48),
      };
    case 2:
      return {
        ...common,
        kind: 'feature',
        feature: frame.readUInt32LE(16),
        error: frame.readInt32LE(20),
        text: frame.subarray(24).toString().replace(/\0+$/, ''),
      };
    case 3:
      return { ...common, kind: 'clock', realtime: frame.readBigUInt64LE(16), boottime: frame.readBigUInt64LE(24) };
    case 4: {
      let at = 48;
      const texts = [36, 38, 40, 42].map((length) => {
        const text = frame.toString('utf8', at, at + frame.readUInt16LE(length));
        at += frame.readUInt16LE(length) + 1;
        return text;
      });
      return {
        ...common,
        kind: 'process',
        id: processId(),
        parent: frame.readUInt32LE(20),
        uid: frame.readUInt32LE(32),
        texts,
      };
    }
    case 5:
      return {
        ...common,
        kind: 'exit',
        id: processId(),
        code: frame.readUInt32LE(20),
        comm: cString(frame.subarray(32, 48)),
      };
    case 6: {
      const values = Object.fromEntries(SAMPLE_FIELDS.map((field, i) => [field, u64(32 + 8 * i)])) as Record<
        SampleField,
        number
      >;
      return { ...common, kind: 'sample', id: processId(), threads: frame.readUInt32LE(20), values };
    }
    case 7:
      return { ...common, kind: 'sampleEnd' };
    case 8:
      return {
        ...common,
        kind: 'open',
        id: connId(),
        family: frame.readUInt16LE(40),
        role: frame.readUInt8(42),
        origin: frame.readUInt8(43),
        ports: [frame.readUInt16LE(44), frame.readUInt16LE(46)],
        addresses: [frame.toString('hex', 48, 64), frame.toString('hex', 64, 80)],
        protocol: frame.readUInt8(84),
      };
    case 9: {
      const captured = frame.readUInt32LE(52);
      if (frame.length !== 56 + captured + ((8 - (captured % 8)) % 8))
        throw new Error(`data frame of ${frame.length} bytes`);
      if (frame.subarray(56 + captured).some((byte) => byte !== 0))
        throw new Error('a data frame is padded with something');
      return {
        ...common,
        kind: 'data',
        id: connId(),
        position: u64(40),
        size: frame.readUInt32LE(48),
        payload: Buffer.from(frame.subarray(56, 56 + captured)),
      };
    }
    case 10:
    case 11:
      return { ...common, kind: type === 10 ? 'close' : 'counts', id: connId(), sent: u64(40), received: u64(48) };
    case 12:
      return { ...common, kind: 'drops', drops: [16, 24, 32, 40, 48, 56].map(u64) };
    case 13:
      return { ...common, kind: 'drained' };
    case 14:
      return { ...common, kind: 'snapshotEnd' };
    case 66:
      return { ...common, kind: 'ignore', id: { ...NO_ID, tgid: frame.readUInt32LE(16) } };
    default:
      throw new Error(`frame of type ${type}`);
  }
}

function encode(type: number, bytes: number, id: ConnId): Buffer {
  const frame = Buffer.alloc(bytes);
  frame.writeUInt32LE(bytes, 0);
  frame.writeUInt16LE(type, 4);
  frame.writeUInt32LE(id.tgid, 16);
  if (bytes === 24) return frame;
  frame.writeUInt32LE(id.fd, 20);
  frame.writeBigUInt64LE(id.tsid, 24);
  frame.writeBigUInt64LE(id.startTicks, 32);
  return frame;
}

export function follow(id: ConnId, captureMax: number): Buffer {
  const frame = encode(64, 48, id);
  frame.writeUInt32LE(captureMax, 40);
  return frame;
}
export const mute = (id: ConnId): Buffer => encode(65, 40, id);
export const ignoreTgid = (tgid: number): Buffer => encode(66, 24, { ...NO_ID, tgid });
