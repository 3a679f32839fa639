// What the dispatcher counts, by Prometheus names.
import type { Metrics } from '../../model/metrics.ts';
import type { Delivery, RunOutcome } from '../../model/outcome.ts';
import type { TimeNs } from '../../model/time.ts';
import { spreadOf } from '../../schedule/plan.ts';
import type { RunNotes } from './contract.ts';
import type { Entry } from './entry.ts';
import type { Lane } from './lane.ts';

export interface Meters {
  /** How long after it was due a run began. */
  started(delayMs: number): void;
  ended(outcome: RunOutcome, notes: RunNotes): void;
  delivered(delivery: Delivery): void;
  broke(): void;
  /** Gauges of a runtime that is gone are taken away. */
  lanes(lanes: readonly Lane[]): void;
  lag(ms: number): void;
}

export function createMeters(metrics: Metrics): Meters {
  const due = metrics.gauge('sluice_dispatch_due');
  const running = metrics.gauge('sluice_dispatch_running');
  const delay = metrics.histogram('sluice_dispatch_start_delay_seconds');
  const broken = metrics.counter('sluice_dispatch_calls_broken_total');
  const windows = metrics.counter('sluice_windows_total');
  const repeated = metrics.counter('sluice_windows_repeated_total');
  const lag = metrics.gauge('sluice_windows_lag_seconds');
  let shown = new Set<number>();
  return {
    started: (delayMs) => delay.record(Math.max(0, delayMs) / 1000),
    ended(outcome, { isRepeated, windows: amount }) {
      windows.add(amount, { outcome: outcome.outcome });
      if (isRepeated) repeated.add();
    },
    delivered({ windowRepeated }) {
      if (windowRepeated) repeated.add();
    },
    broke: () => broken.add(),
    lanes(lanes) {
      for (const lane of lanes) {
        const labels = { runtime: String(lane.ordinal) };
        due.set(lane.due, labels);
        running.set(lane.running, labels);
      }
      const now = new Set(lanes.map(({ ordinal }) => ordinal));
      for (const ordinal of shown) {
        if (now.has(ordinal)) continue;
        due.remove({ runtime: String(ordinal) });
        running.remove({ runtime: String(ordinal) });
      }
      shown = now;
    },
    lag: (ms) => lag.set(ms / 1000),
  };
}

/** How late the script is that is latest, since its next window was due. Suspended ones are not. */
export function lagMs(entries: Iterable<Entry>, now: TimeNs): number {
  let most = 0n;
  for (const { state, script, isHeld } of entries) {
    if (state === undefined || state.suspended || isHeld) continue;
    const lag = now - state.finishedUntil - script.schedule.windowNs - spreadOf(script.schedule);
    if (lag > most) most = lag;
  }
  return Number(most / 1_000_000n);
}
