// The situation table of docs/conditions.md, row by row; what tools make of each row is in health.test.ts.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { APPLY_ORDER_MS, reviewAtMs, type Attempt } from '../../src/crds/attempt.ts';
import { deliveryFault, PERMANENT_REASONS } from '../../src/crds/delivery-faults.ts';
import { pendingPluginConditions, pluginConditions, type PluginFacts } from '../../src/crds/plugin-conditions.ts';
import { OTEL_PLUGIN_REASONS } from '../../src/crds/plugin-reasons.ts';
import type { ReasonTable } from '../../src/crds/reason-table.ts';
import { EXPORT_SCRIPT_REASONS } from '../../src/crds/script-reasons.ts';
import { pendingScriptConditions, scriptConditions, type ScriptFacts } from '../../src/crds/script-conditions.ts';
import { secretForbidden } from '../../src/crds/secret-access.ts';
import { mergeConditions, type Condition, type ConditionFact } from '../../src/crds/status.ts';
import { GOOD_PLUGIN, GOOD_SCRIPT, PLUGIN_SITUATIONS, SCRIPT_SITUATIONS } from './situations.ts';

const NEW: Attempt = { generation: 1, previous: [], nowMs: 0 };
const short = (facts: readonly ConditionFact[]): string =>
  facts.map(({ type, status, reason }) => `${type}=${status}/${reason}`).join(' ');
const at = (ms: number): string => new Date(ms).toISOString();

/** Conditions as they are written one after the other, each from what was there before. */
function sequence<Facts>(
  conditions: (facts: Facts, attempt: Attempt) => ConditionFact[],
  steps: readonly { readonly facts: Facts; readonly nowMs: number; readonly generation?: number }[],
): Condition[][] {
  const written: Condition[][] = [];
  for (const { facts, nowMs, generation = 1 } of steps) {
    const previous = written.at(-1) ?? [];
    written.push(mergeConditions(previous, conditions(facts, { generation, previous, nowMs }), generation, at(nowMs)));
  }
  return written;
}

describe('C18 conditions of an ExportScript', () => {
  test.each(SCRIPT_SITUATIONS)('$name', ({ facts, waitedMs, shows }) => {
    const steps = [0, waitedMs].map((nowMs) => ({ facts, nowMs }));
    const last = sequence(scriptConditions, steps).at(-1) ?? [];
    expect(short(last)).toBe(shows);
  });

  const missing = { ...GOOD_SCRIPT, plugin: { reason: 'PluginNotFound', message: 'create it' } };
  const keyless = { ...GOOD_SCRIPT, plugin: { reason: 'KeyNotFound', message: 'add it' } };
  const has = (conditions: readonly Condition[] | undefined, type: string): boolean =>
    conditions?.some((condition) => condition.type === type && condition.status === 'True') ?? false;

  test('C20 wait two minutes for what is missing, counted from when this attempt began, whatever else is written meanwhile', () => {
    const times = [1000, 60_000, 1000 + APPLY_ORDER_MS - 1, 1000 + APPLY_ORDER_MS, 500_000];
    const written = sequence(
      scriptConditions,
      times.map((nowMs) => ({ facts: missing, nowMs })),
    );
    expect(written.map((all) => has(all, 'Reconciling'))).toEqual([true, true, true, false, false]);
    expect(written.map((all) => has(all, 'Stalled'))).toEqual([false, false, false, true, true]);
    expect(written.map(reviewAtMs)).toEqual([121_000, 121_000, 121_000, undefined, undefined]);
  });

  test('C20 begin a new attempt with a new generation and with another fault, and leave no Stalled behind', () => {
    const written = sequence(scriptConditions, [
      { facts: missing, nowMs: 0 },
      { facts: missing, nowMs: APPLY_ORDER_MS },
      { facts: missing, nowMs: APPLY_ORDER_MS + 1, generation: 2 },
      { facts: missing, nowMs: 2 * APPLY_ORDER_MS + 1, generation: 2 },
      { facts: keyless, nowMs: 3 * APPLY_ORDER_MS, generation: 2 },
      { facts: GOOD_SCRIPT, nowMs: 3 * APPLY_ORDER_MS + 1, generation: 2 },
      { facts: missing, nowMs: 3 * APPLY_ORDER_MS + 2, generation: 2 },
    ]);
    expect(written.map((all) => has(all, 'Stalled'))).toEqual([false, true, false, true, false, false, false]);
    expect(written.map((all) => has(all, 'Reconciling'))).toEqual([true, false, true, false, true, false, true]);
  });

  test('C20 are Stalled by a clock that cannot be read, not for ever Reconciling', () => {
    const [first = []] = sequence(scriptConditions, [{ facts: missing, nowMs: 5 }]);
    const broken = first.map((condition) => ({ ...condition, lastTransitionTime: 'yesterday' }));
    const facts = scriptConditions(missing, { generation: 1, previous: broken, nowMs: 5 + APPLY_ORDER_MS });
    expect(short(facts)).toContain('Stalled=True/PluginNotFound');
  });

  test('C18 keep their transition time while their status is the same', () => {
    const partial = { ...GOOD_SCRIPT, incomplete: { reason: 'DataExpired', message: '' } };
    const [, second] = sequence(scriptConditions, [
      { facts: GOOD_SCRIPT, nowMs: 1 },
      { facts: partial, nowMs: 2, generation: 2 },
    ]);
    const of = (type: string) => second?.find((condition) => condition.type === type);
    expect(of('Ready')).toMatchObject({ lastTransitionTime: at(1), observedGeneration: 2 });
    expect(of('Complete')).toMatchObject({ lastTransitionTime: at(2), observedGeneration: 2 });
  });
});

describe('C18 conditions of an OtelPlugin', () => {
  test.each(PLUGIN_SITUATIONS)('$name', ({ facts, waitedMs, shows }) => {
    const steps = [0, waitedMs].map((nowMs) => ({ facts, nowMs }));
    expect(short(sequence(pluginConditions, steps).at(-1) ?? [])).toBe(shows);
  });

  test('are Reconciling for two minutes while the runtime is not there, and not again and again', () => {
    const facts = { ...GOOD_PLUGIN, runtime: { reason: 'RuntimeUnavailable', message: '' } };
    const times = [0, APPLY_ORDER_MS, APPLY_ORDER_MS + 1, 2 * APPLY_ORDER_MS];
    const written = sequence(
      pluginConditions,
      times.map((nowMs) => ({ facts, nowMs })),
    );
    expect(written.map((all) => all.some(({ type }) => type === 'Reconciling'))).toEqual([true, false, false, false]);
    expect(written.some((all) => all.some(({ type }) => type === 'Stalled'))).toBe(false);
  });

  test('X8 say how to let Sluice read a Secret elsewhere, within what a message may have', () => {
    const { reason, message } = secretForbidden('shop', 'backend', 'sluice-system');
    expect(reason).toBe('SecretForbidden');
    expect(message.match(/kubectl -n shop create (role|rolebinding) /g)).toHaveLength(2);
    expect(message).toContain('--verb=get,list,watch --resource=secrets --resource-name=backend');
    expect(message).toContain('--serviceaccount=sluice-system:sluice-operator');
    const longest = secretForbidden('n'.repeat(63), 's'.repeat(253), 'o'.repeat(63)).message;
    const facts = pluginConditions({ ...GOOD_PLUGIN, credentials: { reason, message: longest } }, NEW);
    const [, credentials] = mergeConditions([], facts, 1, at(0));
    expect(credentials?.message).toBe(longest);
  });
});

test('C19 every known condition is Unknown at first sight, and Reconciling', () => {
  expect(short(pendingScriptConditions())).toBe(
    'Ready=Unknown/Pending Resolved=Unknown/Pending Compiled=Unknown/Pending Scheduled=Unknown/Pending ' +
      'Delivered=Unknown/Pending Complete=Unknown/Pending Reconciling=True/Pending',
  );
  expect(short(pendingPluginConditions())).toBe(
    'Ready=Unknown/Pending CredentialsResolved=Unknown/Pending Delivered=Unknown/Pending PresetsSynced=Unknown/Pending ' +
      'CollectorReady=Unknown/Pending RuntimeReady=Unknown/Pending Reconciling=True/Pending',
  );
});

describe('C18 reasons', () => {
  const word = fc.oneof(
    fc.constantFrom(
      ...[...Object.values(EXPORT_SCRIPT_REASONS), ...Object.values(OTEL_PLUGIN_REASONS)].flatMap(({ reasons }) =>
        Object.keys(reasons),
      ),
    ),
    fc.string(),
    fc.constantFrom('toString', '__proto__', ''),
  );
  const fault = fc.option(fc.record({ reason: word, message: fc.string({ maxLength: 2000 }) }), { nil: undefined });
  const scriptFacts: fc.Arbitrary<ScriptFacts> = fc.record({
    suspended: fc.boolean(),
    plugin: fault,
    pluginDisabled: fc.boolean(),
    source: fault,
    compiled: fc.option(fc.record({ fault, warnings: fc.nat(2) }), { nil: undefined }),
    schedule: fault,
    consecutiveFailures: fc.nat(4),
    delivery: fc.option(fc.record({ ok: fc.boolean(), fault, permanent: fc.boolean() }), { nil: undefined }),
    incomplete: fault,
  });
  const pluginFacts: fc.Arbitrary<PluginFacts> = fc.record({
    enabled: fc.boolean(),
    destination: fault,
    credentials: fault,
    presets: fault,
    delivery: fc.option(fc.record({ ok: fc.boolean(), fault }), { nil: undefined }),
    collector: fault,
    runtime: fault,
  });

  /** What must hold of any conditions, whatever happened before. */
  function isRight(table: ReasonTable, all: readonly Condition[]): void {
    const types = all.map(({ type }) => type);
    expect(new Set(types).size).toBe(types.length);
    for (const { type, status, reason, message } of all) {
      expect(table[type]?.reasons[reason]?.status).toBe(status);
      expect(Buffer.byteLength(message)).toBeLessThanOrEqual(1024);
    }
    const of = (type: string) => all.find((condition) => condition.type === type);
    const ready = of('Ready');
    const [reconciling, stalled] = [of('Reconciling'), of('Stalled')];
    if (reconciling !== undefined) expect([reconciling.status, stalled]).toEqual(['True', undefined]);
    if (stalled !== undefined) expect([stalled.status, ready?.status]).toEqual(['True', 'False']);
    if (ready?.status === 'True') expect(reconciling).toBeUndefined();
    if (ready?.reason === 'Suspended') expect([ready.status, stalled]).toEqual(['True', undefined]);
  }

  const steps = <T>(facts: fc.Arbitrary<T>) =>
    fc.array(fc.record({ facts, nowMs: fc.nat(10 * APPLY_ORDER_MS), generation: fc.integer({ min: 1, max: 3 }) }), {
      minLength: 1,
      maxLength: 6,
    });

  test('are of the list whatever the facts, and at most one of Reconciling and Stalled holds', () => {
    fc.assert(
      fc.property(steps(scriptFacts), (all) => {
        for (const written of sequence(scriptConditions, all)) isRight(EXPORT_SCRIPT_REASONS, written);
      }),
    );
    fc.assert(
      fc.property(steps(pluginFacts), (all) => {
        for (const written of sequence(pluginConditions, all)) isRight(OTEL_PLUGIN_REASONS, written);
      }),
    );
  });

  test('that are not in the list are told in the message', () => {
    const facts = scriptConditions({ ...GOOD_SCRIPT, incomplete: { reason: 'Eclipse', message: 'dark' } }, NEW);
    expect(facts.find(({ type }) => type === 'Complete')).toMatchObject({
      status: 'False',
      reason: 'Incomplete',
      message: 'Eclipse: dark',
    });
  });

  test('of every table are words that the API server takes as reasons', () => {
    for (const table of [EXPORT_SCRIPT_REASONS, OTEL_PLUGIN_REASONS] as ReasonTable[]) {
      for (const [type, { reasons, fallback }] of Object.entries(table)) {
        for (const name of [type, ...Object.keys(reasons)]) expect(name).toMatch(/^[A-Z][A-Za-z]{0,63}$/);
        expect(Object.keys(reasons)).toContain(fallback);
      }
    }
  });
});

describe('a refusal of a destination', () => {
  test.each([
    ['UNAUTHENTICATED', 'no token', 'Unauthorized'],
    ['401', '', 'Unauthorized'],
    ['HTTP_403', 'no', 'Forbidden'],
    ['PERMISSION_DENIED', 'no', 'Forbidden'],
    ['404', 'page not found', 'NotFound'],
    ['UNIMPLEMENTED', 'unknown service', 'NotFound'],
    ['UNAVAILABLE', 'No connection established. Last error: Error: self-signed certificate', 'TLSFailed'],
    ['CERT_HAS_EXPIRED', 'certificate has expired', 'TLSFailed'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', "Hostname/IP does not match certificate's altnames", 'TLSFailed'],
    ['INVALID_ENDPOINT', 'no port', 'InvalidEndpoint'],
  ])('%s %s is permanent: %s', (code, message, reason) => {
    expect(deliveryFault(code, message, false)).toMatchObject({ fault: { reason }, permanent: true });
    expect(PERMANENT_REASONS.has(reason)).toBe(true);
  });

  test.each([
    ['UNAVAILABLE', 'connection refused', false, 'Retrying'],
    ['503', '', false, 'Retrying'],
    ['429', 'slow down', false, 'Retrying'],
    ['INVALID_ARGUMENT', 'bad point', true, 'Refused'],
    ['400', 'bad point', true, 'Refused'],
    ['toString', '', false, 'Retrying'],
  ])('%s %s is not', (code, message, isFinal, reason) => {
    expect(deliveryFault(code, message, isFinal)).toMatchObject({ fault: { reason }, permanent: false });
  });
});
