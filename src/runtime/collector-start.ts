// Cumulative streams start when the collector that counts them started. Rows of several collectors meet on the merging
// side, so each row brings its own start along: a column that the sink then names.
import type { Expression } from '../plan/expression.ts';
import type { Field } from '../model/types.ts';
import type { MetricSpec, Operator, Sink } from '../plan/plan.ts';

const NAME = '_collector_start';

const FIELD: Field = { name: NAME, type: 'TIME64NS', semanticType: 'ST_NONE' };

const COLUMN: Expression = { kind: 'column', ...FIELD };

/** The sink with its starts in a column of its input; the sink itself where no metric asks for the collector's start. */
export function withCollectorStart(sink: Sink): Sink {
  if (sink.kind !== 'otel' || !sink.export.metrics.some(asksForIt)) return sink;
  const metrics = sink.export.metrics.map((metric): MetricSpec =>
    asksForIt(metric) ? { ...metric, startTime: { kind: 'column', column: NAME } } : metric,
  );
  return { ...sink, input: carrying(sink.input), export: { ...sink.export, metrics } };
}

type StartedMetric = Extract<MetricSpec, { readonly startTime: unknown }>;

const asksForIt = (metric: MetricSpec): metric is StartedMetric =>
  'startTime' in metric && metric.startTime.kind === 'collector';

/** The same rows with the start of the collector that made them; of several, the latest: a sum drops when one restarts. */
function carrying(operator: Operator): Operator {
  if (operator.schema.some(({ name }) => name === NAME)) return operator;
  const schema = [...operator.schema, FIELD];
  switch (operator.kind) {
    case 'source':
    case 'remote': {
      const columns = operator.schema.map((field) => ({
        name: field.name,
        expression: { kind: 'column', ...field } as const,
      }));
      const start: Expression = { kind: 'call', function: NAME, args: [], type: 'TIME64NS', semanticType: 'ST_NONE' };
      return { kind: 'map', input: operator, columns: [...columns, { name: NAME, expression: start }], schema };
    }
    case 'filter':
    case 'limit':
      return { ...operator, input: carrying(operator.input), schema };
    case 'map':
      return {
        ...operator,
        input: carrying(operator.input),
        columns: [...operator.columns, { name: NAME, expression: COLUMN }],
        schema,
      };
    case 'aggregate': {
      const latest = {
        name: NAME,
        function: 'max',
        args: [COLUMN],
        literals: [],
        type: 'TIME64NS',
        semanticType: 'ST_NONE',
      } as const;
      return { ...operator, input: carrying(operator.input), aggregates: [...operator.aggregates, latest], schema };
    }
    case 'join': {
      // A row that only the other side has gets 0, which the export reads as "not known".
      const side = operator.how === 'right' ? 'right' : 'left';
      const columns = [...operator.columns, { name: NAME, side, column: NAME } as const];
      return { ...operator, [side]: carrying(operator[side]), columns, schema };
    }
    case 'union':
      return { ...operator, inputs: operator.inputs.map(carrying), schema };
  }
}
