// The identity of a process: agent short id, process id in the root pid namespace, and start time in clock ticks.
import type { Uint128 } from './types.ts';

/** Packs a UPID: high word = asid << 32 | pid, low word = start ticks (USER_HZ, since boot). */
export const packUpid = (asid: number, pid: number, startTicks: bigint): Uint128 => ({
  high: (BigInt(asid) << 32n) | BigInt(pid),
  low: startTicks,
});

/** The text form `asid:pid:start_ticks`, all decimal. */
export const formatUpid = ({ high, low }: Uint128): string => `${high >> 32n}:${high & 0xffff_ffffn}:${low}`;

/** Parses `asid:pid:start_ticks`; undefined unless there are exactly three decimal parts that fit their widths. */
export function parseUpid(text: string): Uint128 | undefined {
  const match = /^(\d{1,10}):(\d{1,10}):(\d{1,20})$/.exec(text);
  if (match === null) return undefined;
  const [asid, pid, ticks] = [BigInt(match[1] ?? ''), BigInt(match[2] ?? ''), BigInt(match[3] ?? '')];
  if (asid > 0xffff_ffffn || pid > 0xffff_ffffn || ticks > 0xffff_ffff_ffff_ffffn) return undefined;
  return { high: (asid << 32n) | pid, low: ticks };
}
