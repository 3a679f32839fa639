// The merging t-digest of px.quantiles: compression 1000, scale function
// k(q) = δ·(asin(2q−1)+π/2)/π. Below about 1270 values nothing is merged and quantiles are exact interpolations.

const COMPRESSION = 1000;
const UNPROCESSED_MAX = 8000;
const PROCESSED_MAX = 2000;

/** k(q) and its inverse. */
const scaleOf = (q: number): number => (COMPRESSION * (Math.asin(2 * q - 1) + Math.PI / 2)) / Math.PI;
const quantileOf = (k: number): number =>
  (Math.sin((Math.min(k, COMPRESSION) * Math.PI) / COMPRESSION - Math.PI / 2) + 1) / 2;

export interface TDigest {
  /** Unprocessed values and weights; weight 1 where `weights` is empty. */
  readonly values: number[];
  readonly weights: number[];
  /** Processed centroids, ascending. */
  means: Float64Array;
  sizes: Float64Array;
  min: number;
  max: number;
}

const NONE = new Float64Array(0);

export const createDigest = (): TDigest => ({
  values: [],
  weights: [],
  means: NONE,
  sizes: NONE,
  min: Infinity,
  max: -Infinity,
});

/** NaN is ignored, -0 is 0. */
export function addValue(digest: TDigest, value: number): void {
  if (Number.isNaN(value)) return;
  digest.values.push(value + 0);
  if (digest.weights.length > 0) digest.weights.push(1);
  if (digest.values.length > UNPROCESSED_MAX) processDigest(digest);
}

export function addCentroid(digest: TDigest, mean: number, weight: number): void {
  while (digest.weights.length < digest.values.length) digest.weights.push(1);
  digest.values.push(mean);
  digest.weights.push(weight);
  if (digest.values.length > UNPROCESSED_MAX) processDigest(digest);
}

/** Merges the unprocessed points into the centroids. */
export function processDigest(digest: TDigest): void {
  const { values, weights } = digest;
  if (values.length === 0 && digest.means.length <= PROCESSED_MAX) return;
  const [means, sizes] = merged(digest, ...sorted(values, weights));
  values.length = 0;
  weights.length = 0;

  let total = 0;
  for (const size of sizes) total += size;
  let last = 0;
  let accumulated = 0;
  let limit = total * quantileOf(1);
  for (let i = 1; i < means.length; i++) {
    const mean = means[i] ?? 0;
    const size = sizes[i] ?? 0;
    const current = sizes[last] ?? 0;
    if (accumulated + current + size <= limit) {
      const weight = current + size;
      // The guard keeps equal (also infinite) means as they are.
      if (means[last] !== mean) means[last] = (means[last] ?? 0) + ((mean - (means[last] ?? 0)) * size) / weight;
      sizes[last] = weight;
    } else {
      accumulated += current;
      limit = total * quantileOf(scaleOf(Math.min(1, accumulated / total)) + 1);
      last++;
      means[last] = mean;
      sizes[last] = size;
    }
  }
  digest.means = means.slice(0, last + 1);
  digest.sizes = sizes.slice(0, last + 1);
  digest.min = Math.min(digest.min, digest.means[0] ?? Infinity);
  digest.max = Math.max(digest.max, digest.means[last] ?? -Infinity);
}

function sorted(values: readonly number[], weights: readonly number[]): [Float64Array, Float64Array] {
  if (weights.length === 0) return [Float64Array.from(values).sort(), new Float64Array(values.length).fill(1)];
  const order = Int32Array.from(values, (_, i) => i).sort((a, b) => (values[a] ?? 0) - (values[b] ?? 0) || a - b);
  return [Float64Array.from(order, (i) => values[i] ?? 0), Float64Array.from(order, (i) => weights[i] ?? 0)];
}

/** Old centroids and new points in ascending order; among equals the old come first. */
function merged(digest: TDigest, values: Float64Array, weights: Float64Array): [Float64Array, Float64Array] {
  const { means, sizes } = digest;
  if (means.length === 0) return [values, weights];
  const outMeans = new Float64Array(means.length + values.length);
  const outSizes = new Float64Array(outMeans.length);
  let old = 0;
  let fresh = 0;
  for (let i = 0; i < outMeans.length; i++) {
    const takeOld = fresh >= values.length || (old < means.length && (means[old] ?? 0) <= (values[fresh] ?? 0));
    outMeans[i] = (takeOld ? means[old] : values[fresh]) ?? 0;
    outSizes[i] = (takeOld ? sizes[old] : weights[fresh]) ?? 0;
    if (takeOld) old++;
    else fresh++;
  }
  return [outMeans, outSizes];
}

/** Values at the given quantiles (ascending); NaN without data. Call `processDigest` before. */
export function readQuantiles({ means, sizes, min, max }: TDigest, quantiles: readonly number[]): number[] {
  const n = means.length;
  const firstMean = means[0] ?? Number.NaN;
  if (n <= 1) return quantiles.map(() => firstMean);
  let total = 0;
  for (const size of sizes) total += size;
  const firstSize = sizes[0] ?? 1;
  let i = 0;
  /** Weight before centroid i. */
  let before = 0;
  return quantiles.map((q) => {
    const target = q * total;
    if (target <= firstSize / 2) return between(min, firstMean, (2 * target) / firstSize);
    while (i < n && before + (sizes[i] ?? 0) / 2 < target) {
      before += sizes[i] ?? 0;
      i++;
    }
    const previousSize = sizes[i - 1] ?? 1;
    const previousCentre = before - previousSize / 2;
    const previousMean = means[i - 1] ?? 0;
    if (i === n) return between(previousMean, max, (target - previousCentre) / (previousSize / 2));
    const centre = before + (sizes[i] ?? 0) / 2;
    return between(previousMean, means[i] ?? 0, (target - previousCentre) / (centre - previousCentre));
  });
}

/** Never outside of a and b; beside an infinity there is nothing between, so the nearer one. */
function between(a: number, b: number, share: number): number {
  if (a === b) return a;
  if (!Number.isFinite(a) || !Number.isFinite(b)) return share < 0.5 ? a : b;
  const value = Number.isFinite(b - a) ? a + (b - a) * share : a * (1 - share) + b * share;
  return Math.min(b, Math.max(a, value));
}
