// "Did you mean …?": the closest of the known names by edit distance.

const LENGTH_MAX = 64;

/** Optimal string alignment distance (insert, delete, replace, swap neighbours), at most `limit` + 1. */
function distance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min((previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1, (previous[j - 1] ?? 0) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, (beforePrevious[j - 2] ?? 0) + 1);
      }
      current.push(best);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length] ?? limit + 1;
}

/** The known name nearest to `name`, if it is near: at most a third of its length (2 for short names) away. */
export function closest(name: string, known: Iterable<string>): string | undefined {
  if (name.length > LENGTH_MAX) return undefined;
  const lower = name.toLowerCase();
  let limit = Math.max(lower.length < 3 ? 1 : 2, Math.floor(lower.length / 3));
  let best: string | undefined;
  for (const candidate of known) {
    const far = distance(lower, candidate.toLowerCase(), limit);
    if (far <= limit && (best === undefined || far < limit)) {
      best = candidate;
      limit = far;
    }
  }
  return best;
}

/** The closest name as a suggestion; undefined where none is near. */
export function didYouMean(name: string, known: Iterable<string>): string | undefined {
  const best = closest(name, known);
  return best === undefined ? undefined : `did you mean '${best}'?`;
}
