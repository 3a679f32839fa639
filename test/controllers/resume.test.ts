import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isScriptStatus, resumeRecord } from '../../src/controllers/exportscript/resume.ts';
import { exportScriptStatus } from '../../src/controllers/exportscript/status.ts';
import {
  NEW_RECORD,
  onCommitted,
  onDelivery,
  onFailed,
  type ScriptRecord,
} from '../../src/controllers/exportscript/track.ts';
import { NO_TOTALS } from '../../src/crds/status.ts';
import { NO_LOSS } from '../../src/model/loss.ts';
import { timeNs } from '../../src/model/time.ts';

const NOW_MS = Date.parse('2026-01-01T00:00:00Z');
const interval = { start: timeNs(10_000_000_000n), end: timeNs(20_000_000_000n) };

const statusOf = (record: ScriptRecord) =>
  exportScriptStatus({
    generation: 1,
    suspended: false,
    plugin: undefined,
    pluginDisabled: false,
    source: undefined,
    compiled: { scriptHash: 'h', outputs: [], diagnostics: [] },
    schedule: undefined,
    retrying: undefined,
    record,
    deliveredUntil: undefined,
    nextWindow: undefined,
    previous: undefined,
    nowMs: NOW_MS,
  });

const delivered = (): ScriptRecord => {
  const committed = onCommitted(
    NEW_RECORD,
    {
      uid: 'u',
      ...interval,
      outcome: 'Partial',
      rowsRead: 7,
      rowsTruncated: 0,
      metricPoints: 5,
      spans: 0,
      logs: 0,
      bytes: 10,
      durationMs: 1,
      nodes: { expected: 1, answered: 1, missing: [] },
      loss: { ...NO_LOSS, eventsDropped: 2 },
    },
    false,
    NOW_MS,
  );
  return onDelivery(committed, {
    uid: 'u',
    ...interval,
    batch: 1,
    outcome: 'acknowledged',
    metricPoints: 5,
    spans: 0,
    logs: 0,
    rejected: 0,
    bytes: 10,
    attempts: 1,
    windowDelivered: true,
    windowRepeated: false,
  });
};

const RUN_ERROR = { stage: 'Query', code: 'DEADLINE_EXCEEDED', message: 'too slow' } as const;
const refused = (code: string) =>
  ({
    uid: 'u',
    ...interval,
    batch: 1,
    outcome: 'refused',
    metricPoints: 5,
    spans: 0,
    logs: 0,
    rejected: 0,
    bytes: 10,
    attempts: 1,
    windowDelivered: true,
    windowRepeated: false,
    code,
    message: 'no',
  }) as const;

describe('a record that goes on from a status', () => {
  test('has its totals, its history and the loss of the day, also after a detour through a file', () => {
    const record = delivered();
    const read: unknown = JSON.parse(JSON.stringify(statusOf(record)));
    if (!isScriptStatus(read)) throw new Error('not taken');
    const resumed = resumeRecord(read);
    expect(resumed.totals).toEqual(record.totals);
    expect(resumed.history).toEqual(record.history);
    const complete = (one: ScriptRecord) => statusOf(one).conditions.find(({ type }) => type === 'Complete');
    expect(complete(resumed)).toMatchObject({ status: 'False', reason: complete(record)?.reason });
    expect(statusOf(resumed).lastWindow).toEqual(statusOf(record).lastWindow);
  });

  test.each<[string, (record: ScriptRecord) => ScriptRecord]>([
    ['nothing yet', (record) => record],
    ['a delivery', () => delivered()],
    ['a refusal by credentials', (record) => onDelivery(record, refused('UNAUTHENTICATED'))],
    ['a refusal of one batch', (record) => onDelivery(record, refused('INVALID_ARGUMENT'))],
    ['three failed runs', (record) => [1, 2, 3].reduce((one) => onFailed(one, RUN_ERROR, false), record)],
  ])('C28: after %s, the next leader says of it what the last one said', (_, change) => {
    const before = statusOf(change(NEW_RECORD));
    const read: unknown = JSON.parse(JSON.stringify(before));
    if (!isScriptStatus(read)) throw new Error('not taken');
    const after = statusOf(resumeRecord(read));
    expect(after.conditions).toEqual(before.conditions);
    expect(after.lastError).toEqual(before.lastError);
  });

  test('is not made of anything that is no status', () => {
    const status: object = JSON.parse(JSON.stringify(statusOf(delivered())));
    expect(isScriptStatus({ ...status, totals: {} })).toBe(false);
    expect(isScriptStatus({ ...status, history: [{}] })).toBe(false);
    fc.assert(fc.property(fc.jsonValue(), (value) => expect(isScriptStatus(value)).toBe(false)));
  });

  test('S17: has totals that never fall, also from a status of a version that counted less (T14)', () => {
    const record = delivered();
    const status = JSON.parse(JSON.stringify(statusOf(record))) as { totals: Record<string, number> };
    delete status.totals['repeated'];
    if (!isScriptStatus(status)) throw new Error('not taken');
    const resumed = resumeRecord(status);
    expect(resumed.totals).toEqual(record.totals);
    const error = { stage: 'Query', code: 'X', message: 'x' } as const;
    const later = onFailed(resumed, error, false).totals;
    for (const [key, value] of Object.entries(record.totals)) {
      expect(Reflect.get(later, key)).toBeGreaterThanOrEqual(value);
    }
  });

  test('knows where the totals end: at the next window', () => {
    const status = {
      ...statusOf(delivered()),
      nextWindow: { start: '1970-01-01T00:00:20.000Z', end: '1970-01-01T00:00:30.000Z' },
    };
    expect(resumeRecord(status).countedUntil).toBe(20_000_000_000n);
    expect(resumeRecord(statusOf(delivered())).countedUntil).toBeUndefined();
    expect(resumeRecord({ ...status, nextWindow: { start: 'soon', end: '' } }).countedUntil).toBeUndefined();
    // nothing was counted, whatever is next
    expect(resumeRecord({ ...status, totals: NO_TOTALS }).countedUntil).toBe(0n);
    expect(NEW_RECORD.countedUntil).toBe(0n);
  });
});
