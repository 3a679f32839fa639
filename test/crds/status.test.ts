import { describe, expect, test } from '@jest/globals';
import { exportScriptColumns, formatAge, renderTable } from '../../src/crds/printer-columns.ts';
import { scriptConditions, type ScriptFacts } from '../../src/crds/script-conditions.ts';
import { cutMessage, mergeConditions, NO_TOTALS } from '../../src/crds/status.ts';
import { validateExportScript } from '../../src/crds/validate.ts';

const GOOD: ScriptFacts = {
  suspended: false,
  plugin: undefined,
  pluginDisabled: false,
  source: undefined,
  compiled: { fault: undefined, warnings: 0 },
  schedule: undefined,
  consecutiveFailures: 0,
  delivery: { ok: true, fault: undefined, permanent: false },
  incomplete: undefined,
};
const fault = { reason: 'Because', message: 'do this' };
const short = (facts: Partial<ScriptFacts>): string =>
  scriptConditions({ ...GOOD, ...facts })
    .map(({ type, status, reason }) => `${type}=${status}/${reason}`)
    .join(' ');

describe('conditions of an ExportScript', () => {
  test.each<[string, Partial<ScriptFacts>, RegExp[]]>([
    [
      'is ready before its first window',
      { delivery: undefined },
      [/Ready=True\/Scheduled/, /Delivered=Unknown\/Pending/],
    ],
    ['is pending until it was compiled', { compiled: undefined }, [/Ready=Unknown\/Pending/, /Reconciling=True/]],
    [
      'is stalled where it does not compile',
      { compiled: { fault, warnings: 0 } },
      [/Ready=False\/Because/, /Compiled=False/, /Stalled=True/],
    ],
    [
      'is stalled without its plugin',
      { plugin: fault },
      [/Ready=False\/Because/, /Resolved=False/, /Scheduled=False\/NotReady/, /Stalled=True/],
    ],
    ['is ready while suspended', { suspended: true }, [/Ready=True\/Suspended/, /Scheduled=False\/Suspended/]],
    [
      'stays ready while a destination is retried',
      { delivery: { ok: false, fault, permanent: false }, consecutiveFailures: 2 },
      [/Ready=True/, /Delivered=False\/Because/],
    ],
    ['is not ready after three failed windows', { consecutiveFailures: 3 }, [/Ready=False\/RunFailing/]],
    [
      'is not ready where the destination refuses for good',
      { delivery: { ok: false, fault, permanent: true } },
      [/Ready=False\/ExportFailing/, /Stalled=True/],
    ],
    ['stays ready where something was missing', { incomplete: fault }, [/Ready=True/, /Complete=False\/Because/]],
  ])('%s', (_, facts, wanted) => {
    for (const pattern of wanted) expect(short(facts)).toMatch(pattern);
    if (!wanted.some((pattern) => pattern.source.includes('Stalled'))) expect(short(facts)).not.toContain('Stalled');
  });

  test('keep their transition time while their status is the same', () => {
    const first = mergeConditions([], scriptConditions(GOOD), 1, 't1');
    const second = mergeConditions(first, scriptConditions({ ...GOOD, incomplete: fault }), 2, 't2');
    const time = (type: string) => second.find((condition) => condition.type === type)?.lastTransitionTime;
    expect([time('Ready'), time('Complete')]).toEqual(['t1', 't2']);
  });
});

test('a message from outside is cut at a character border', () => {
  expect(Buffer.byteLength(cutMessage('ü'.repeat(400)))).toBeLessThanOrEqual(512);
  expect(cutMessage('ü'.repeat(400))).toMatch(/^ü+…$/);
});

test.each([
  [0, '0s'],
  [119_000, '119s'],
  [190_000, '3m10s'],
  [600_000, '10m'],
  [5 * 3_600_000, '5h'],
  [3 * 86_400_000, '3d'],
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
    conditions: mergeConditions([], scriptConditions(GOOD), 1, 't'),
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
