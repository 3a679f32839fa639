// The situation table as objects with the status that the operator would have written, for whoever judges them.
import { pluginConditions, pendingPluginConditions } from '../../src/crds/plugin-conditions.ts';
import { pendingScriptConditions, scriptConditions } from '../../src/crds/script-conditions.ts';
import { mergeConditions, type Condition, type ConditionFact } from '../../src/crds/status.ts';
import type { Attempt } from '../../src/crds/attempt.ts';
import type { Kind, Spec } from './case.ts';
import type { Judged } from './health.ts';
import { PLUGIN_SITUATIONS, SCRIPT_SITUATIONS, type Situation, type Verdict } from './situations.ts';

export interface JudgedSituation {
  readonly title: string;
  readonly kind: Kind;
  readonly spec: Spec;
  readonly object: Judged;
  readonly verdict: Verdict;
  readonly isDegraded: boolean;
}

const START = Date.parse('2026-01-01T00:00:00Z');
const SCRIPT: Spec = { pluginRef: { name: 'collector' }, script: { preset: 'http-metrics' } };
const PLUGIN: Spec = { destination: { type: 'OTLPGRPC', endpoint: 'otel:4317' } };

function conditionsOf<Facts>(
  { facts, waitedMs }: Situation<Facts>,
  make: (facts: Facts, attempt: Attempt) => ConditionFact[],
): Condition[] {
  let previous: Condition[] = [];
  for (const nowMs of [START, START + waitedMs]) {
    const attempt = { generation: 1, previous, nowMs };
    previous = mergeConditions(previous, make(facts, attempt), 1, new Date(nowMs).toISOString());
  }
  return previous;
}

const judged = (
  kind: Kind,
  spec: Spec,
  conditions: readonly Condition[] | undefined,
  about: { readonly title: string; readonly verdict: Verdict; readonly isDegraded?: boolean },
  generations = { is: 1, observed: 1 },
): JudgedSituation => ({
  title: `${kind}, ${about.title}`,
  kind,
  spec,
  verdict: about.verdict,
  isDegraded: about.isDegraded ?? false,
  object: {
    metadata: { name: 'it', generation: generations.is },
    spec,
    status: { observedGeneration: generations.observed, ...(conditions === undefined ? {} : { conditions }) },
  },
});

const ready = (facts: ConditionFact[]): Condition[] => mergeConditions([], facts, 1, new Date(START).toISOString());

export const JUDGED: readonly JudgedSituation[] = [
  ...SCRIPT_SITUATIONS.map((situation) =>
    judged(
      'ExportScript',
      { ...SCRIPT, suspend: situation.facts.suspended },
      conditionsOf(situation, scriptConditions),
      { ...situation, title: situation.name },
    ),
  ),
  ...PLUGIN_SITUATIONS.map((situation) =>
    judged('OtelPlugin', { ...PLUGIN, enabled: situation.facts.enabled }, conditionsOf(situation, pluginConditions), {
      ...situation,
      title: situation.name,
    }),
  ),
  ...(
    [
      ['ExportScript', SCRIPT, ready(pendingScriptConditions())],
      ['OtelPlugin', PLUGIN, ready(pendingPluginConditions())],
    ] as const
  ).flatMap(([kind, spec, pending]) => {
    const done = pending
      .filter(({ type }) => type !== 'Reconciling')
      .map((condition): Condition => ({ ...condition, status: 'True' }));
    return [
      judged(
        kind,
        spec,
        undefined,
        { title: 'created while the operator is away', verdict: 'waiting' },
        { is: 1, observed: -1 },
      ),
      judged(kind, spec, pending, { title: 'at first sight', verdict: 'waiting' }),
      judged(kind, spec, done, { title: 'ready, and changed since', verdict: 'waiting' }, { is: 2, observed: 1 }),
    ];
  }),
];
