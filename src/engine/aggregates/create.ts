// The accumulator of an aggregate expression, by name and argument type.
import type { DataType } from '../../model/types.ts';
import type { AggregateExpression, LiteralValue } from '../../plan/expression.ts';
import { EngineError } from '../context.ts';
import type { Accumulator } from './accumulator.ts';
import { createAny, createLast } from './chosen.ts';
import { createBucketCounts, createQuantiles } from './distributions.ts';
import { createExtreme } from './extremes.ts';
import { createCount, createMean, createSum } from './totals.ts';

type Factory = (type: DataType, literals: readonly LiteralValue[]) => Accumulator;

/** Every aggregate of this build; `type` is that of the first argument. */
export const AGGREGATES: Readonly<Record<string, Factory>> = {
  count: createCount,
  sum: createSum,
  mean: createMean,
  min: (type) => createExtreme('min', type),
  max: (type) => createExtreme('max', type),
  any: createAny,
  last: createLast,
  quantiles: createQuantiles,
  bucket_counts: (_, literals) => createBucketCounts(literals),
};

export function createAccumulator({ function: name, args, literals }: AggregateExpression): Accumulator {
  const factory = Object.hasOwn(AGGREGATES, name) ? AGGREGATES[name] : undefined;
  if (factory === undefined) {
    throw new EngineError(
      'UNKNOWN_FUNCTION',
      `aggregate px.${name} is not in this build; update the nodes and the runtime together`,
    );
  }
  return factory(args[0]?.type ?? 'INT64', literals);
}
