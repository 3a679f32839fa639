// The main thread's pulse: how late its event loop is, for the metric and for who decides whether it still leads (R28).
import type { Metrics } from '../model/metrics.ts';
import { processMs } from './leader-memory.ts';

export interface LoopBeat {
  /** When the loop last turned, `processMs`. */
  readonly lastMs: number;
  stop(): void;
}

const BEAT_MS = 250;
/** The gauge shows the worst of about ten seconds: a scrape every fifteen should not miss every stall. */
const BEATS_SHOWN = 40;

/** `onBeat` is called while `lastMs` is still that of the beat before. */
export function startLoopBeat(metrics: Metrics, onBeat: (nowMs: number) => void): LoopBeat {
  const gauge = metrics.gauge('sluice_event_loop_lag_seconds');
  const lags = Array.from({ length: BEATS_SHOWN }, () => 0);
  let lastMs = processMs();
  let at = 0;
  gauge.set(0);
  const timer = setInterval(() => {
    const nowMs = processMs();
    lags[at++ % BEATS_SHOWN] = Math.max(0, nowMs - lastMs - BEAT_MS) / 1000;
    gauge.set(Math.max(...lags));
    onBeat(nowMs);
    lastMs = nowMs;
  }, BEAT_MS);
  return {
    get lastMs() {
      return lastMs;
    },
    stop: () => clearInterval(timer),
  };
}
