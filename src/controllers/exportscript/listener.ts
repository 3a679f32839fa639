// What dispatch tells of scripts -> their records.
import type { DispatcherListener } from '../dispatch/contract.ts';
import type { ScriptEntries, ScriptEntry } from './entries.ts';
import { onCommitted, onDelivery, onFailed } from './track.ts';

export interface ScriptListenerOptions {
  readonly entries: Pick<ScriptEntries, 'byUid'>;
  readonly nowMs: () => number;
  readonly onChange: (entry: ScriptEntry) => void;
  /** The runtime lacks the script's text: it is to be compiled again. */
  readonly onUnknown: (key: string) => void;
  readonly onFault: (what: string, error: unknown) => void;
}

export function scriptListener({
  entries,
  nowMs,
  onChange,
  onUnknown,
  onFault,
}: ScriptListenerOptions): DispatcherListener {
  const update = (uid: string, change: (entry: ScriptEntry) => ScriptEntry['record']): void => {
    const entry = entries.byUid(uid);
    // deleted meanwhile: its batches still go out
    if (entry === undefined) return;
    entry.record = change(entry);
    onChange(entry);
  };
  return {
    committed: (uid, outcome, delivered, notes) =>
      update(uid, ({ record }) => onCommitted(record, outcome, delivered, nowMs(), notes)),
    failed: (uid, { error }, { isManual }) => update(uid, ({ record }) => onFailed(record, error, isManual)),
    delivered: (delivery) => update(delivery.uid, ({ record }) => onDelivery(record, delivery)),
    broke: (uid, error) => onFault(`a run of ${entries.byUid(uid)?.key ?? uid}`, error),
    unknown(uid, what) {
      const entry = entries.byUid(uid);
      if (entry === undefined || what !== 'script') return;
      entry.isForgotten = true;
      onUnknown(entry.key);
    },
  };
}
