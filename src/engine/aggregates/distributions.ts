// quantiles and bucket_counts: how values are spread. States: quantiles u32 number of centroids, f64 min, f64 max, then
// f64 mean and f64 weight each; bucket_counts i64 per bucket.
import type { StringColumn } from '../../columns/column.ts';
import type { LiteralValue } from '../../plan/expression.ts';
import { asByteString, plainColumn, type ByteString } from '../byte-string.ts';
import { EngineError } from '../context.ts';
import { float64s } from '../functions/kernel.ts';
import { formatDouble } from '../functions/json-text.ts';
import { grownTo, malformed, readStates, stateCell, writeStates, type Accumulator } from './accumulator.ts';
import { addCentroid, addValue, createDigest, processDigest, readQuantiles, type TDigest } from './t-digest.ts';

const QUANTILES = [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99];
const KEYS = ['p01', 'p10', 'p25', 'p50', 'p75', 'p90', 'p99'];

/** Estimated bytes of a digest without points, and of one point. */
const DIGEST_BYTES = 250;
const POINT_BYTES = 16;

const CENTROIDS_MAX = 16_000;

export function createQuantiles(): Accumulator {
  const digests: TDigest[] = [];
  /** Points added since the digests were last measured; an over-estimate between measurements. */
  let points = 0;
  const grow = (groups: number): void => {
    while (digests.length < groups) digests.push(createDigest());
  };
  const measured = (): number => digests.reduce((sum, digest) => sum + digest.values.length + digest.means.length, 0);

  return {
    get byteSize() {
      if (points > 1_000_000) points = measured();
      return digests.length * DIGEST_BYTES + points * POINT_BYTES;
    },
    update([column], ids, groups) {
      grow(groups);
      const values = float64s(column);
      for (let i = 0; i < ids.length; i++) {
        const digest = digests[ids[i] ?? 0];
        if (digest !== undefined) addValue(digest, values[i] ?? Number.NaN);
      }
      points += ids.length;
    },
    merge(states, ids, groups) {
      grow(groups);
      readStates('quantiles', states, { atLeast: 20 }, (view, row) => {
        const count = view.getUint32(0, true);
        if (count > CENTROIDS_MAX || view.byteLength !== 20 + count * 16) {
          throw malformed('quantiles', new Uint8Array(view.buffer, view.byteOffset - 1));
        }
        const digest = digests[ids[row] ?? 0] ?? createDigest();
        digest.min = Math.min(digest.min, view.getFloat64(4, true));
        digest.max = Math.max(digest.max, view.getFloat64(12, true));
        for (let i = 0; i < count; i++) {
          addCentroid(digest, view.getFloat64(20 + i * 16, true), view.getFloat64(28 + i * 16, true));
        }
        points += count;
      });
    },
    result(groups): StringColumn {
      grow(groups);
      return plainColumn(
        digests.slice(0, groups).map((digest) => {
          processDigest(digest);
          const values = readQuantiles(digest, QUANTILES);
          return asByteString(`{${KEYS.map((key, i) => `"${key}":${jsonNumber(values[i] ?? 0)}`).join(',')}}`);
        }),
      );
    },
    states(groups) {
      grow(groups);
      const cells = digests.slice(0, groups).map((digest): ByteString => {
        processDigest(digest);
        const { means, sizes } = digest;
        const payload = Buffer.alloc(20 + means.length * 16);
        payload.writeUInt32LE(means.length, 0);
        payload.writeDoubleLE(digest.min, 4);
        payload.writeDoubleLE(digest.max, 12);
        for (let i = 0; i < means.length; i++) {
          payload.writeDoubleLE(means[i] ?? 0, 20 + i * 16);
          payload.writeDoubleLE(sizes[i] ?? 0, 28 + i * 16);
        }
        return stateCell(payload);
      });
      return plainColumn(cells);
    },
  };
}

/** JSON has no NaN and no infinity: null, which `px.pluck_float64` reads as 0.0. */
const jsonNumber = (value: number): string => (Number.isFinite(value) ? formatDouble(value) : 'null');

const BUCKETS_MAX = 1024;

/** Bounds of `px.bucket_counts([…])` as strictly increasing finite doubles, or an error that says which is not. */
function boundsOf(literals: readonly LiteralValue[]): Float64Array {
  const bounds = Float64Array.from(literals, Number);
  if (bounds.length === 0 || bounds.length >= BUCKETS_MAX) {
    throw new EngineError(
      'BAD_BUCKET_BOUNDS',
      `px.bucket_counts takes 1 to ${BUCKETS_MAX - 1} bounds, not ${bounds.length}`,
    );
  }
  bounds.forEach((bound, i) => {
    if (Number.isFinite(bound) && (i === 0 || bound > (bounds[i - 1] ?? 0))) return;
    throw new EngineError(
      'BAD_BUCKET_BOUNDS',
      `bound ${i} of px.bucket_counts, ${bound}, is not finite and above the one before`,
    );
  });
  return bounds;
}

/** Bucket i counts values in (bounds[i-1], bounds[i]]; NaN is in no bucket. */
export function createBucketCounts(literals: readonly LiteralValue[]): Accumulator {
  const bounds = boundsOf(literals);
  const buckets = bounds.length + 1;
  let counts = new Float64Array(0);
  const grow = (groups: number): void => {
    counts = grownTo(counts, groups * buckets, (length) => new Float64Array(length));
  };
  return {
    get byteSize() {
      return counts.byteLength;
    },
    update([column], ids, groups) {
      grow(groups);
      const values = float64s(column);
      for (let i = 0; i < ids.length; i++) {
        const value = values[i] ?? Number.NaN;
        if (Number.isNaN(value)) continue;
        const cell = (ids[i] ?? 0) * buckets + bucketOf(bounds, value);
        counts[cell] = (counts[cell] ?? 0) + 1;
      }
    },
    merge(states, ids, groups) {
      grow(groups);
      readStates('bucket_counts', states, { exactly: buckets * 8 }, (view, row) => {
        for (let bucket = 0; bucket < buckets; bucket++) {
          const cell = (ids[row] ?? 0) * buckets + bucket;
          counts[cell] = (counts[cell] ?? 0) + Number(view.getBigInt64(bucket * 8, true));
        }
      });
    },
    result(groups) {
      grow(groups);
      const cells: ByteString[] = [];
      for (let group = 0; group < groups; group++) {
        cells.push(asByteString(`[${counts.subarray(group * buckets, (group + 1) * buckets).join(',')}]`));
      }
      return plainColumn(cells);
    },
    states(groups) {
      grow(groups);
      return writeStates(groups, buckets * 8, (view, group) => {
        for (let bucket = 0; bucket < buckets; bucket++) {
          view.setBigInt64(bucket * 8, BigInt(counts[group * buckets + bucket] ?? 0), true);
        }
      });
    },
  };
}

/** The first bucket whose upper bound is not below the value. */
function bucketOf(bounds: Float64Array, value: number): number {
  let low = 0;
  let high = bounds.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((bounds[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
