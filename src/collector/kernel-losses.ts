// What the kernel side says about itself: which of its features run, and how many events it could not hand over.
import type { BlindInterval, BlindSource } from '../model/loss.ts';
import type { Clock } from './clock.ts';
import { FEATURE } from './frames/frame.ts';
import type { DropsFrame, FeatureFrame, HelloFrame } from './frames/frame.ts';
import type { LossLedger } from './loss.ts';
import type { CollectorMetrics } from './metrics.ts';
import type { KtimeNs } from './protocols/protocol.ts';

/** A probe that ran for so long before we came has dropped events that are none of our loss. */
const OLD_PROBE_NS = 1e9;
/** For how long calls of 32-bit programs are worth a word. */
const COMPAT_SHOWN_NS = 60e9;

const REASONS = new Map<number, string>([
  [1, 'MissingCapability'], // EPERM
  [2, 'NotSupported'], // ENOENT
  [3, 'NotSupported'], // ESRCH: no such function to attach to
  [7, 'KernelTooOld'], // E2BIG
  [12, 'OutOfMemory'], // ENOMEM
  [13, 'MissingCapability'], // EACCES
  [22, 'KernelTooOld'], // EINVAL
  [95, 'NotSupported'], // EOPNOTSUPP
  [524, 'NotSupported'], // ENOTSUPP
]);

const EOPNOTSUPP = 95;

type Counters = Omit<DropsFrame, 'ktime'>;
const NONE: Counters = {
  dataRingFull: 0,
  controlRingFull: 0,
  connectionsFull: 0,
  payloadFaults: 0,
  recursionMisses: 0,
  compatCalls: 0,
};

export interface KernelLosses {
  hello(frame: HelloFrame, isFirst: boolean): void;
  feature(frame: FeatureFrame): void;
  snapshotEnd(): void;
  /** `since`: the last time up to which the rings were read before; what is new was dropped between then and now. */
  drops(frame: DropsFrame, since: KtimeNs): void;
  hasSamples(): boolean;
  /** From when on features that fill one of `tables` have not run. */
  blindIn(tables: readonly string[]): BlindInterval[];
  blind(ktime: KtimeNs): BlindSource[];
}

export function createKernelLosses(parts: {
  readonly clock: Clock;
  readonly loss: LossLedger;
  readonly metrics: CollectorMetrics;
  /** Tables that a lost payload event hides a row of. */
  readonly payloadTables: readonly string[];
  /** Tables that a lost open, close or exit falsifies, besides. */
  readonly controlTables: readonly string[];
  /** Tables that are wrong or empty without a feature. Features that are not here leave no table incomplete unsaid. */
  readonly tablesOf: ReadonlyMap<number, readonly string[]>;
}): KernelLosses {
  const { clock, loss, metrics, payloadTables } = parts;
  const everyTable = [...new Set([...payloadTables, ...parts.controlTables])];
  const features = new Map<number, BlindSource>();
  let before = NONE;
  let probeStart: KtimeNs | undefined;
  let helloAt: KtimeNs | undefined;
  let isBaseline = false;
  let compatAt: KtimeNs | undefined;

  const declare = (tables: readonly string[], amount: number, since: KtimeNs, ktime: KtimeNs): void => {
    const [start, end] = [clock.wall(since), clock.wall(ktime)];
    if (amount <= 0 || start === undefined || end === undefined) return;
    for (const table of tables) loss.addBetween(table, 'eventsDropped', start, end, amount);
  };
  const growth = (now: Counters): Counters => ({
    dataRingFull: Math.max(0, now.dataRingFull - before.dataRingFull),
    controlRingFull: Math.max(0, now.controlRingFull - before.controlRingFull),
    connectionsFull: Math.max(0, now.connectionsFull - before.connectionsFull),
    payloadFaults: Math.max(0, now.payloadFaults - before.payloadFaults),
    recursionMisses: Math.max(0, now.recursionMisses - before.recursionMisses),
    compatCalls: Math.max(0, now.compatCalls - before.compatCalls),
  });

  return {
    hello(frame, isFirst) {
      if (probeStart !== frame.startKtime) before = NONE;
      probeStart = frame.startKtime;
      helloAt = frame.ktime;
      isBaseline = isFirst && frame.ktime - frame.startKtime > OLD_PROBE_NS;
      features.clear();
    },
    snapshotEnd() {
      isBaseline = false;
    },
    feature(frame) {
      features.delete(frame.id);
      const isFilter = frame.id === FEATURE.CGROUP_FILTER;
      // A filter that nobody asked for hides nothing; one that was asked for and cannot be had hides everything.
      if (frame.error === 0 || (isFilter && frame.error === EOPNOTSUPP)) return;
      const reason = isFilter ? 'CgroupUnknown' : (REASONS.get(frame.error) ?? 'NotSupported');
      features.set(frame.id, { source: frame.name, reason, message: frame.reason || `error ${frame.error}` });
    },
    drops(frame, since) {
      const grown = growth(frame);
      before = { ...frame };
      if (isBaseline) return;
      const from = since === 0 ? frame.ktime : since;
      metrics.dataRingFull += grown.dataRingFull;
      metrics.controlRingFull += grown.controlRingFull;
      metrics.connectionsFull += grown.connectionsFull;
      metrics.payloadFaults += grown.payloadFaults;
      metrics.recursionMisses += grown.recursionMisses;
      metrics.compatCalls += grown.compatCalls;
      if (grown.compatCalls > 0) compatAt = frame.ktime;
      declare(payloadTables, grown.dataRingFull + grown.payloadFaults, from, frame.ktime);
      declare(everyTable, grown.controlRingFull + grown.connectionsFull + grown.recursionMisses, from, frame.ktime);
    },
    blindIn(tables) {
      const start = features.size === 0 || helloAt === undefined ? undefined : clock.wall(helloAt);
      if (start === undefined) return [];
      return [...features]
        .filter(([id]) => parts.tablesOf.get(id)?.some((table) => tables.includes(table)) === true)
        .map(([, { source, reason }]) => ({ source, start, reason }));
    },
    hasSamples: () => !features.has(FEATURE.PROCESS_SAMPLE),
    blind(ktime) {
      const sources = [...features.values()];
      if (compatAt !== undefined && ktime - compatAt < COMPAT_SHOWN_NS) {
        const message = `${metrics.compatCalls} system calls of 32-bit programs were not followed`;
        sources.push({ source: 'compat', reason: 'CompatProgram', message });
      }
      return sources;
    },
  };
}
