import { expect, test } from '@jest/globals';
import { exportScriptColumns, formatAge, renderTable } from '../../src/crds/printer-columns.ts';
import { scriptConditions } from '../../src/crds/script-conditions.ts';
import { cutMessage, mergeConditions, NO_TOTALS } from '../../src/crds/status.ts';
import { validateExportScript } from '../../src/crds/validate.ts';
import { GOOD_SCRIPT } from './situations.ts';

test('a message from outside is cut at a character border', () => {
  expect(Buffer.byteLength(cutMessage('ü'.repeat(400)))).toBeLessThanOrEqual(512);
  expect(cutMessage('ü'.repeat(400))).toMatch(/^ü+…$/);
  expect(cutMessage('two\r\nlines\u0000 \ud800')).toBe('two lines  \ufffd');
});

test.each([
  [0, '0s'],
  [119_000, '119s'],
  [190_000, '3m10s'],
  [600_000, '10m'],
  [5 * 3_600_000, '5h'],
  [8 * 3_600_000 - 60_000, '7h59m'],
  [8 * 3_600_000, '8h'],
  [47.9 * 3_600_000, '47h'],
  [3 * 86_400_000, '3d'],
  [51 * 3_600_000, '2d3h'],
  [8 * 86_400_000, '8d'],
  [729 * 86_400_000, '729d'],
  [(3 * 365 + 20) * 86_400_000, '3y20d'],
  [8 * 365 * 86_400_000, '8y'],
  [-5000, '0s'],
])('%i ms are %s, as kubectl shows ages', (ms, shown) => {
  expect(formatAge(ms)).toBe(shown);
});

test('the table is the one that kubectl get prints', () => {
  const script = validateExportScript({
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'ExportScript',
    metadata: { name: 'http' },
    spec: { pluginRef: { name: 'collector' }, script: { preset: 'http-metrics' } },
  });
  if (!script.ok) throw new Error('sample is wrong');
  const status = {
    observedGeneration: 1,
    scriptHash: '',
    conditions: mergeConditions([], scriptConditions(GOOD_SCRIPT, { generation: 1, previous: [], nowMs: 0 }), 1, 't'),
    lastWindow: { start: '2026-01-01T00:00:00.000Z', end: '2026-01-01T00:00:10.000Z', outcome: 'Complete' as const },
    lastRun: {
      rows: 5,
      metrics: 21,
      spans: 0,
      bytes: 1,
      durationMs: 1,
      nodes: { expected: 1, answered: 1, missing: [] },
    },
    totals: NO_TOTALS,
    history: [],
  };
  const now = Date.parse('2026-01-01T00:00:13Z');
  expect(
    renderTable(exportScriptColumns, [{ name: 'http', object: script.value, status, createdMs: now - 60_000 }], now),
  ).toEqual([
    'NAME   PLUGIN      WINDOW   READY   REASON      LAST-WINDOW   METRICS   SPANS   AGE',
    'http   collector   10s      True    Scheduled   3s            21        0       60s',
  ]);
});
