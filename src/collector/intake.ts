// Frames to rows: hands each frame to the part that knows it, and keeps what several parts share: the clock, the
// watermarks, the loss of each second. Knows frame time only, so the same frames make the same rows.
import type { BlindInterval, BlindSource } from '../model/loss.ts';
import { NS_PER_SECOND } from '../model/time.ts';
import type { TimeNs } from '../model/time.ts';
import type { Cell } from '../model/types.ts';
import { createClock } from './clock.ts';
import { rangeOf } from './connections/address.ts';
import type { AddressRange } from './connections/address.ts';
import { CONN_STATS } from './connections/statistics.ts';
import { createConnectionTracking } from './connections/tracking.ts';
import { createDecoder } from './frames/decode.ts';
import { FEATURE } from './frames/frame.ts';
import type { FrameHandler } from './frames/frame.ts';
import { createProcesses } from './identity/processes.ts';
import type { PodMetadata } from './identity/cluster.ts';
import type { Processes } from './identity/processes.ts';
import type { IdentityRule } from './identity/rules.ts';
import { createKernelLosses } from './kernel-losses.ts';
import { createLossLedger } from './loss.ts';
import type { LossKind, LossLedger } from './loss.ts';
import { createMetrics } from './metrics.ts';
import type { CollectorMetrics } from './metrics.ts';
import type { KtimeNs, Protocol } from './protocols/protocol.ts';
import { PROCESS_STATS, PROC_EXIT_EVENTS, createProcessRows } from './process-rows.ts';
import type { RowSink } from './rows.ts';
import { FOREVER, createWatermarks } from './watermarks.ts';
import type { Watermarks } from './watermarks.ts';

/** A process that no sample has shown for this long is gone, although nobody saw it go. */
const VANISHED_AFTER_NS = 30e9;
const SWEEP_SECONDS = 10;

export interface IntakeOptions {
  readonly protocols: readonly Protocol[];
  /** Name of this host until the probe says it; in a cluster the node's, whatever the probe says. */
  readonly hostname: string;
  /** Short id of this agent. */
  readonly asid: number;
  /** In a cluster: who the pods are. */
  readonly pods?: PodMetadata | undefined;
  readonly identityRules: readonly IdentityRule[];
  readonly insideRanges: readonly AddressRange[];
  readonly bothSides: boolean;
  readonly connectionsMax: number;
  readonly bytesHeldMax: number;
  /** Stores a row; `cells` may be used again after the call. May refuse cells by throwing. */
  readonly append: (table: string, time: TimeNs, cells: readonly Cell[]) => void;
  /** Called whenever a table's watermark has moved. */
  readonly setWatermark: (table: string, time: TimeNs) => void;
  /** Takes frames for the probe. */
  readonly control: (frame: Uint8Array) => void;
}

export interface Intake {
  readonly processes: Processes;
  readonly watermarks: Watermarks;
  readonly loss: LossLedger;
  readonly metrics: CollectorMetrics;
  /** When counting began; undefined before the first clock pair. */
  readonly startTime: TimeNs | undefined;
  /** The last time heard of. */
  readonly lastTime: TimeNs | undefined;
  /** Takes a run of whole frames. Throws FrameError where they are corrupt. */
  readonly take: (run: Uint8Array, offset: number) => void;
  /** The source has ended: settles what is open. */
  finish(): void;
  blind(): BlindSource[];
  /** Since when sources that fill one of `tables` do not run. */
  blindIn(tables: readonly string[]): BlindInterval[];
}

export function createIntake(options: IntakeOptions): Intake {
  const metrics = createMetrics();
  const clock = createClock();
  const loss = createLossLedger();
  const watermarks = createWatermarks((table) => table === PROCESS_STATS);
  let hostname = options.hostname;
  let startTime: TimeNs | undefined;
  let lives = 0;
  let lastKtime: KtimeNs = 0;
  let snapshotStart: KtimeNs = 0;
  let second = -1;

  /** The window of a time behind the watermark may have been read: the next one to be read is told as well. */
  const addLoss = (table: string, kind: LossKind, time: TimeNs, amount: number): void => {
    loss.add(table, kind, time, amount);
    const mark = watermarks.of(table);
    if (mark < FOREVER && time / NS_PER_SECOND < mark / NS_PER_SECOND) loss.add(table, kind, mark, amount);
  };
  const rows: RowSink = {
    append(table, ktime, cells) {
      const time = clock.wall(ktime);
      if (time === undefined) {
        metrics.framesBeforeClock += 1;
        return;
      }
      const mark = watermarks.of(table);
      if (time < mark) {
        metrics.rowsLate += 1;
        loss.add(table, 'rowsLate', mark, 1);
        // its own window has one less, whether it was read already or not
        loss.add(table, 'exchangesLost', time, 1);
      }
      const stored = time < mark ? mark : time;
      cells[0] = stored;
      try {
        options.append(table, stored, cells);
        metrics.rows += 1;
      } catch {
        // A value that its column cannot hold: the frame made no sense, its neighbours may.
        metrics.rowsRefused += 1;
        loss.add(table, 'exchangesLost', stored, 1);
      }
    },
  };
  const processes = createProcesses({
    node: () => hostname,
    rules: options.identityRules,
    metrics,
    asid: options.asid,
    pods: options.pods,
  });
  const lossAt = {
    add(table: string, kind: LossKind, ktime: KtimeNs, amount: number): void {
      const time = clock.wall(ktime);
      if (time !== undefined) addLoss(table, kind, time, amount);
    },
  };
  const connections = createConnectionTracking({
    ...options,
    isInside: (address) => options.pods?.isInside(address) === true,
    processes,
    rows,
    metrics,
    loss: lossAt,
  });
  const processRows = createProcessRows({ processes, rows, metrics });
  const payloadTables = [...new Set(options.protocols.map((protocol) => protocol.table))];
  const eventTables = [...payloadTables, CONN_STATS, PROC_EXIT_EVENTS];
  const kernel = createKernelLosses({
    clock,
    loss,
    metrics,
    payloadTables,
    controlTables: [CONN_STATS, PROC_EXIT_EVENTS],
    tablesOf: new Map([
      [FEATURE.SYS_EXIT, [...payloadTables, CONN_STATS]],
      [FEATURE.SENDFILE, [...payloadTables, CONN_STATS]],
      [FEATURE.PROCESS_EVENTS, [PROC_EXIT_EVENTS]],
      [FEATURE.PROCESS_SAMPLE, [PROCESS_STATS]],
      [FEATURE.CGROUP_FILTER, [...eventTables, PROCESS_STATS]],
    ]),
  });

  const everySecond = (ktime: KtimeNs): void => {
    processes.tick(ktime);
    if (second % SWEEP_SECONDS !== 0 || !processRows.isSampling(ktime)) return;
    for (const process of processes.vanished(ktime - VANISHED_AFTER_NS, ktime))
      connections.processExited(process, ktime);
  };

  const handler: FrameHandler = {
    hello(frame) {
      lives += 1;
      metrics.probeConnects += 1;
      // In a pod the host's name is the pod's.
      if (frame.hostname !== '' && options.pods === undefined) hostname = frame.hostname;
      snapshotStart = frame.ktime;
      kernel.hello(frame, lives === 1);
      connections.hello(frame.ktime);
      connections.ignore(frame.probeTgid);
    },
    feature(frame) {
      kernel.feature(frame);
      watermarks.setSampling(kernel.hasSamples());
    },
    clock(frame) {
      clock.pair(frame.ktime, frame.realtime);
      metrics.clockStepsBack = clock.stepsBack;
      metrics.clockAheadNs = Number(clock.aheadNs);
      startTime ??= clock.wall(snapshotStart);
    },
    process: (frame) => processes.update(frame),
    processExit(frame) {
      const process = processRows.exit(frame);
      connections.processExited(process, frame.ktime);
    },
    processSample: (frame) => processRows.sample(frame),
    sampleEnd(ktime) {
      const time = clock.wall(ktime);
      if (time === undefined) return;
      watermarks.sampled(time);
      options.setWatermark(PROCESS_STATS, watermarks.of(PROCESS_STATS));
    },
    connOpen: (frame) => connections.open(frame),
    connData: (frame) => connections.data(frame),
    connClose: (frame) => connections.close(frame),
    connCounts: (frame) => connections.counts(frame),
    drops: (frame) => kernel.drops(frame, lastKtime),
    drained(ktime) {
      connections.drained(ktime);
      const now = Math.floor(ktime / 1e9);
      if (now > second) {
        second = now;
        everySecond(ktime);
      }
      if (ktime > lastKtime) lastKtime = ktime;
      const time = clock.wall(ktime);
      if (time === undefined) return;
      watermarks.drained(time);
      for (const table of eventTables) options.setWatermark(table, watermarks.of(table));
    },
    snapshotEnd(ktime) {
      kernel.snapshotEnd();
      connections.snapshotEnd(ktime);
      if (lives > 1)
        for (const gone of processes.vanished(snapshotStart, ktime)) connections.processExited(gone, ktime);
    },
    blind(frame) {
      const [start, end] = [clock.wall(frame.ktime), clock.wall(frame.endKtime)];
      if (start === undefined || end === undefined || end <= start) return;
      metrics.blindIntervals += 1;
      loss.addBlind({ source: 'probe', start, end, reason: 'ProbeNotRunning' });
    },
    localNetwork: (frame) => connections.addInside(rangeOf(frame.family, frame.address, frame.prefixBits)),
    ignoreTgid: (frame) => connections.ignore(frame.tgid),
    unknown() {
      metrics.framesUnknown += 1;
    },
  };
  const decode = createDecoder(handler);

  return {
    processes,
    watermarks,
    loss,
    metrics,
    get startTime() {
      return startTime;
    },
    get lastTime() {
      return lastKtime === 0 ? startTime : clock.wall(lastKtime);
    },
    take(run, offset) {
      metrics.frameBytes += run.length;
      metrics.frames += decode(run, offset);
    },
    finish() {
      if (lastKtime > 0) connections.finish(lastKtime);
      watermarks.finish();
    },
    blind: () => kernel.blind(lastKtime),
    blindIn: (tables) => kernel.blindIn(tables),
  };
}
