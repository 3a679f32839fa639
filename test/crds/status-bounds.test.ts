import { describe, expect, test } from '@jest/globals';
import { Ajv } from 'ajv';
import fc from 'fast-check';
import { boundPluginStatus, boundScriptStatus, STATUS_BYTES_MAX } from '../../src/crds/status-bounds.ts';
import { exportScriptStatusSchema, otelPluginStatusSchema } from '../../src/crds/status-schema.ts';
import { NO_TOTALS, type Condition, type ExportScriptStatus, type OtelPluginStatus } from '../../src/crds/status.ts';

const ajv = new Ajv({ allErrors: true, strict: true });
ajv.addVocabulary(['x-kubernetes-list-type', 'x-kubernetes-list-map-keys']);
ajv.addFormat('int64', { type: 'number', validate: (value) => Number.isSafeInteger(value) });
ajv.addFormat('date-time', (text) => !Number.isNaN(Date.parse(text)));
const [isScript, isPlugin] = [exportScriptStatusSchema, otelPluginStatusSchema].map((schema) => ajv.compile(schema));

const bytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));
const time = '2026-01-01T00:00:00.000Z';

const text = fc.oneof(
  fc.string({ maxLength: 3000 }),
  fc.constant('"'.repeat(2000)),
  fc.constant('𝔘'.repeat(900)),
  fc.string({ unit: 'binary', maxLength: 3000 }),
);
const count = fc.oneof(fc.double(), fc.nat(), fc.constant(Number.MAX_VALUE));
const conditions: fc.Arbitrary<Condition[]> = fc
  .array(
    fc.record({
      status: fc.constantFrom('True' as const, 'False' as const, 'Unknown' as const),
      reason: fc.constant('Pending'),
      message: text,
      lastTransitionTime: fc.constant(time),
      observedGeneration: fc.nat(),
    }),
    { maxLength: 8 },
  )
  .map((all) => all.map((one, i) => ({ type: `Condition${'ABCDEFGH'[i] ?? ''}`, ...one })));
const totals = fc.record({
  ...NO_TOTALS,
  ...(Object.fromEntries(Object.keys(NO_TOTALS).map((key) => [key, count])) as Record<
    keyof typeof NO_TOTALS,
    typeof count
  >),
});
const window = {
  start: fc.constant(time),
  end: fc.constant(time),
  outcome: fc.constantFrom('Complete' as const, 'Partial' as const),
};
const names = fc.array(text, { maxLength: 30 });

const scriptStatus: fc.Arbitrary<ExportScriptStatus> = fc.record({
  observedGeneration: fc.nat(),
  scriptHash: text,
  conditions,
  lastWindow: fc.record(window),
  lastRun: fc.record({
    rows: count,
    metrics: count,
    spans: count,
    bytes: count,
    durationMs: count,
    nodes: fc.record({ expected: count, answered: count, missing: names }),
  }),
  totals,
  lastError: fc.record({ stage: fc.constant('Query' as const), code: text, message: text, line: count }),
  lastManualRun: fc.record({ token: text, outcome: text }),
  history: fc.array(fc.record({ ...window, reason: text, metrics: count, spans: count, refused: count, lost: count }), {
    maxLength: 20,
  }),
});
const pluginStatus: fc.Arbitrary<OtelPluginStatus> = fc.record({
  observedGeneration: fc.nat(),
  conditions,
  endpoint: text,
  scripts: text,
  queue: fc.record({ batches: count, bytes: count }),
  nodes: fc.record({
    total: count,
    ready: count,
    blind: fc.array(fc.record({ node: text, source: text, reason: text }), { maxLength: 30 }),
  }),
});

describe('S16 a status as it is written', () => {
  test('C2 is within its schema and 16 KiB, whatever was said', () => {
    fc.assert(
      fc.property(scriptStatus, (status) => {
        const bounded = boundScriptStatus(status);
        expect([isScript?.(bounded), isScript?.errors]).toEqual([true, null]);
        expect(bytes(bounded)).toBeLessThanOrEqual(STATUS_BYTES_MAX);
        expect(bounded.conditions).toHaveLength(status.conditions.length);
      }),
    );
    fc.assert(
      fc.property(pluginStatus, (status) => {
        const bounded = boundPluginStatus(status);
        expect([isPlugin?.(bounded), isPlugin?.errors]).toEqual([true, null]);
        expect(bytes(bounded)).toBeLessThanOrEqual(STATUS_BYTES_MAX);
      }),
    );
  });

  const usual: ExportScriptStatus = {
    observedGeneration: 3,
    scriptHash: 'f'.repeat(64),
    conditions: Array.from('ABCDEFGH', (letter) => ({
      type: `Condition${letter}`,
      status: 'False',
      reason: 'CredentialsMissing',
      message: 'm'.repeat(512),
      lastTransitionTime: time,
      observedGeneration: 3,
    })),
    deliveredUntil: time,
    lastWindow: { start: time, end: time, outcome: 'Partial' },
    totals: NO_TOTALS,
    history: Array.from({ length: 10 }, () => ({
      start: time,
      end: time,
      outcome: 'Partial',
      reason: 'SourcesBlind',
      metrics: 1e9,
      spans: 1e9,
      refused: 1e9,
      lost: 1e9,
    })),
  };

  test('keeps all of what is usual, in the same words', () => {
    expect(boundScriptStatus(usual)).toEqual(usual);
    expect(bytes(usual)).toBeLessThan(STATUS_BYTES_MAX / 2);
  });

  test('leaves out what another version knows and this one does not', () => {
    expect(boundScriptStatus({ ...usual, mood: 'good' } as ExportScriptStatus)).toEqual(usual);
  });
});
