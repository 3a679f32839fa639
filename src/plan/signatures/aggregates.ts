// Aggregates, the last element of an `agg` tuple, and ours: `last`, `bucket_counts`.
import type { FunctionSignature } from '../signature.ts';
import { aggregate, ALL_SEMANTIC_TYPES, inherited } from './build.ts';

const SUMMABLE = ['ST_BYTES', 'ST_THROUGHPUT_PER_NS', 'ST_THROUGHPUT_BYTES_PER_NS', 'ST_PERCENT'] as const;
const COMPARABLE = [...SUMMABLE, 'ST_DURATION_NS'] as const;
const NOT_YET = { available: false };

const bucketCounts: FunctionSignature = {
  name: 'bucket_counts',
  kind: 'aggregate',
  overloads: [
    { args: ['INT64'], result: 'STRING', literalList: ['INT64', 'FLOAT64'] },
    { args: ['FLOAT64'], result: 'STRING', literalList: ['INT64', 'FLOAT64'] },
  ],
  semanticRules: [],
  description: 'px.bucket_counts([b0, b1, …]): JSON array of the counts in (-inf, b0], (b0, b1], …, (bn, inf)',
  available: true,
};

export const AGGREGATES: readonly FunctionSignature[] = [
  aggregate('count', 'B>I I>I F>I T>I S>I U>I', 'Number of rows'),
  aggregate('sum', 'I>I F>F B>I', 'Total; INT64 wraps, BOOLEAN counts true', { rules: inherited(SUMMABLE) }),
  aggregate('mean', 'I>F F>F B>F', 'Arithmetic mean', { rules: inherited(COMPARABLE) }),
  aggregate('min', 'I>I F>F T>T', 'Smallest value', { rules: inherited(COMPARABLE) }),
  aggregate('max', 'I>I F>F T>T', 'Largest value', { rules: inherited(COMPARABLE) }),
  aggregate('any', 'B>B I>I F>F T>T S>S U>U', 'Some value of the group', { rules: inherited(ALL_SEMANTIC_TYPES) }),
  aggregate('last', 'B>B I>I F>F T>T S>S U>U', 'Value of the row with the greatest time_', {
    rules: inherited(ALL_SEMANTIC_TYPES),
    implicitColumns: [{ name: 'time_', type: 'TIME64NS' }],
  }),
  aggregate('quantiles', 'I>S F>S', 'JSON object with p01, p10, p25, p50, p75, p90, p99', {
    rules: [
      { args: ['ST_DURATION_NS'], result: 'ST_DURATION_NS_QUANTILES' },
      { args: ['ST_NONE'], result: 'ST_QUANTILES' },
    ],
  }),
  bucketCounts,
  aggregate('sample', 'S>S', 'A value chosen at random', NOT_YET),
  aggregate('pprof', 'SII>S', 'A profile in pprof format', NOT_YET),
  aggregate('_kmeans_fit', 'SI>S', 'Clusters of embeddings, as JSON', NOT_YET),
  aggregate('_build_request_path_clusters', 'S>S', 'Clusters of request paths, as JSON', NOT_YET),
];
