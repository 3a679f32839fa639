import { describe, expect, test } from '@jest/globals';
import { exportScriptStatus, heldUp, type StatusInput } from '../../src/controllers/exportscript/status.ts';
import { NEW_RECORD, onFailed } from '../../src/controllers/exportscript/track.ts';
import { timeNs } from '../../src/model/time.ts';

const input: StatusInput = {
  generation: 1,
  suspended: false,
  plugin: undefined,
  pluginDisabled: false,
  source: undefined,
  compiled: { scriptHash: 'h', outputs: [], diagnostics: [] },
  schedule: undefined,
  retrying: undefined,
  record: NEW_RECORD,
  deliveredUntil: undefined,
  nextWindow: undefined,
  previous: undefined,
  nowMs: 0,
};
const failed = (code: string) => onFailed(NEW_RECORD, { stage: 'Export', code, message: 'why' }, false);
const condition = (code: string, type: string) =>
  exportScriptStatus({ ...input, record: failed(code) }).conditions.find((one) => one.type === type);

describe('a script that cannot commit', () => {
  test.each([
    ['SPOOL_FULL', 'SpoolFull'],
    ['StateFull', 'StateFull'],
    ['StateReadOnly', 'StateReadOnly'],
  ])('is not scheduled, by name, and Ready all the same: %s', (code, reason) => {
    expect(condition(code, 'Scheduled')).toMatchObject({ status: 'False', reason, message: 'why' });
    expect(condition(code, 'Ready')).toMatchObject({ status: 'True' });
  });

  test('is Ready=False by that reason after three times', () => {
    const record = onFailed(onFailed(failed('StateFull'), undefined, false), undefined, false);
    const ready = exportScriptStatus({ ...input, record }).conditions.find(({ type }) => type === 'Ready');
    expect(ready).toMatchObject({ status: 'False' });
  });

  test('is told apart from one whose query fails', () => {
    expect(heldUp(failed('QUERY_TOO_LARGE'))).toBeUndefined();
    expect(condition('QUERY_TOO_LARGE', 'Scheduled')).toMatchObject({ status: 'True' });
    expect(heldUp(NEW_RECORD)).toBeUndefined();
  });
});

test('a script that cannot run now keeps what was delivered', () => {
  const before = exportScriptStatus({ ...input, deliveredUntil: timeNs(1_000_000_000n) });
  const after = exportScriptStatus({
    ...input,
    plugin: { reason: 'PluginNotFound', message: 'it is gone' },
    previous: before,
  });
  expect(after.deliveredUntil).toBe('1970-01-01T00:00:01.000Z');
});
