// Rows about processes as a whole: a sample per process and second, and an event per exit.
import type { Cell } from '../model/types.ts';
import type { ProcessExitFrame, ProcessSampleFrame } from './frames/frame.ts';
import type { Process, Processes } from './identity/processes.ts';
import type { CollectorMetrics } from './metrics.ts';
import type { KtimeNs } from './protocols/protocol.ts';
import type { RowSink } from './rows.ts';

export const PROCESS_STATS = 'process_stats';
export const PROC_EXIT_EVENTS = 'proc_exit_events';
/** Samples come every second; without one for so long they do not come at all. */
const SAMPLING_STOPPED_AFTER_NS = 10e9;

export interface ProcessRows {
  sample(frame: ProcessSampleFrame): void;
  exit(frame: ProcessExitFrame): Process;
  isSampling(ktime: KtimeNs): boolean;
}

export function createProcessRows(parts: {
  readonly processes: Processes;
  readonly rows: RowSink;
  readonly metrics: CollectorMetrics;
}): ProcessRows {
  const { processes, rows, metrics } = parts;
  const cells: Cell[] = [];
  const exitCells: Cell[] = [];
  let lastSample: KtimeNs | undefined;
  return {
    sample(frame) {
      const process = processes.of(frame.tgid, frame.startTicks);
      process.seenAt = frame.ktime;
      lastSample = frame.ktime;
      if (!frame.hasIo) metrics.samplesWithoutIo += 1;
      cells[1] = process.upid;
      cells[2] = frame.majorFaults;
      cells[3] = frame.minorFaults;
      cells[4] = frame.utimeNs;
      cells[5] = frame.ktimeNs;
      cells[6] = frame.threads;
      cells[7] = frame.vsizeBytes;
      cells[8] = frame.rssBytes;
      cells[9] = frame.rcharBytes;
      cells[10] = frame.wcharBytes;
      cells[11] = frame.readBytes;
      cells[12] = frame.writeBytes;
      rows.append(PROCESS_STATS, frame.ktime, cells);
    },
    exit(frame) {
      const process = processes.exited(frame.tgid, frame.startTicks, frame.ktime);
      if (process.comm === '') process.comm = frame.comm;
      exitCells[1] = process.upid;
      exitCells[2] = frame.exitCode >>> 8;
      exitCells[3] = frame.exitCode & 0x7f;
      exitCells[4] = frame.comm;
      rows.append(PROC_EXIT_EVENTS, frame.ktime, exitCells);
      return process;
    },
    isSampling: (ktime) => lastSample !== undefined && ktime - lastSample < SAMPLING_STOPPED_AFTER_NS,
  };
}
