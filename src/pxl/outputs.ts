// What a plan puts out, for `check` and for status.
import type { ScriptOutput } from '../model/run.ts';
import type { Plan } from '../plan/plan.ts';

export function outputsOf(plan: Plan): readonly ScriptOutput[] {
  return plan.sinks.flatMap((sink): ScriptOutput[] => {
    if (sink.kind === 'table')
      return [
        {
          kind: 'table',
          name: sink.name,
          columns: sink.input.schema.map(({ name, type, semanticType }) => ({ name, type, semanticType })),
        },
      ];
    const { metrics, spans } = sink.export;
    return [
      ...metrics.map(({ name }): ScriptOutput => ({ kind: 'metric', name, columns: [] })),
      ...spans.map(({ name }): ScriptOutput => ({
        kind: 'span',
        name: name.kind === 'column' ? `<${name.column}>` : String(name.value),
        columns: [],
      })),
    ];
  });
}
