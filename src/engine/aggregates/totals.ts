// count, sum and mean. States: count i64; sum i64 or f64; mean f64 sum, i64 count.
import type { Column } from '../../columns/column.ts';
import type { DataType } from '../../model/types.ts';
import { booleans, float64s, int64s } from '../functions/kernel.ts';
import { grownTo, readStates, writeStates, type Accumulator } from './accumulator.ts';

const int64Array = (length: number): BigInt64Array => new BigInt64Array(length);
const float64Array = (length: number): Float64Array => new Float64Array(length);

const intColumn = (values: BigInt64Array, groups: number): Column => ({
  type: 'INT64',
  length: groups,
  values: values.slice(0, groups),
});

/** Total per group as INT64 that wraps; `add` is how rows enter. */
function intTotals(
  name: string,
  add: (totals: BigInt64Array, args: readonly Column[], ids: Int32Array) => void,
): Accumulator {
  let totals = int64Array(0);
  return {
    get byteSize() {
      return totals.byteLength;
    },
    update(args, ids, groups) {
      totals = grownTo(totals, groups, int64Array);
      add(totals, args, ids);
    },
    merge(states, ids, groups) {
      totals = grownTo(totals, groups, int64Array);
      readStates(name, states, { exactly: 8 }, (view, row) => {
        const group = ids[row] ?? 0;
        totals[group] = BigInt.asIntN(64, (totals[group] ?? 0n) + view.getBigInt64(0, true));
      });
    },
    result(groups) {
      totals = grownTo(totals, groups, int64Array);
      return intColumn(totals, groups);
    },
    states(groups) {
      totals = grownTo(totals, groups, int64Array);
      return writeStates(groups, 8, (view, group) => view.setBigInt64(0, totals[group] ?? 0n, true));
    },
  };
}

export function createCount(): Accumulator {
  return intTotals('count', (totals, _, ids) => {
    // Counting in doubles (exact to 2^53 per batch) is twice as fast as in 64-bit integers.
    const counts = new Float64Array(totals.length);
    for (let i = 0; i < ids.length; i++) counts[ids[i] ?? 0] = (counts[ids[i] ?? 0] ?? 0) + 1;
    for (let group = 0; group < counts.length; group++) {
      if (counts[group] !== 0) totals[group] = (totals[group] ?? 0n) + BigInt(counts[group] ?? 0);
    }
  });
}

export function createSum(type: DataType): Accumulator {
  if (type === 'FLOAT64') return createFloatSum();
  if (type === 'BOOLEAN') {
    return intTotals('sum', (totals, [column], ids) => {
      const values = booleans(column);
      for (let i = 0; i < ids.length; i++) {
        if (values[i] !== 0) totals[ids[i] ?? 0] = (totals[ids[i] ?? 0] ?? 0n) + 1n;
      }
    });
  }
  return intTotals('sum', (totals, [column], ids) => {
    const values = int64s(column);
    for (let i = 0; i < ids.length; i++) {
      const group = ids[i] ?? 0;
      totals[group] = BigInt.asIntN(64, (totals[group] ?? 0n) + (values[i] ?? 0n));
    }
  });
}

function createFloatSum(): Accumulator {
  let totals = float64Array(0);
  return {
    get byteSize() {
      return totals.byteLength;
    },
    update([column], ids, groups) {
      totals = grownTo(totals, groups, float64Array);
      const values = float64s(column);
      for (let i = 0; i < ids.length; i++) {
        const group = ids[i] ?? 0;
        totals[group] = (totals[group] ?? 0) + (values[i] ?? 0);
      }
    },
    merge(states, ids, groups) {
      totals = grownTo(totals, groups, float64Array);
      readStates('sum', states, { exactly: 8 }, (view, row) => {
        const group = ids[row] ?? 0;
        totals[group] = (totals[group] ?? 0) + view.getFloat64(0, true);
      });
    },
    result(groups) {
      totals = grownTo(totals, groups, float64Array);
      return { type: 'FLOAT64', length: groups, values: totals.slice(0, groups) };
    },
    states(groups) {
      totals = grownTo(totals, groups, float64Array);
      return writeStates(groups, 8, (view, group) => view.setFloat64(0, totals[group] ?? 0, true));
    },
  };
}

/** Accumulated as doubles; no rows: NaN. */
export function createMean(): Accumulator {
  let sums = float64Array(0);
  let counts = float64Array(0);
  const grow = (groups: number): void => {
    sums = grownTo(sums, groups, float64Array);
    counts = grownTo(counts, groups, float64Array);
  };
  return {
    get byteSize() {
      return sums.byteLength + counts.byteLength;
    },
    update([column], ids, groups) {
      grow(groups);
      const values = column?.type === 'BOOLEAN' ? column.values : float64s(column);
      for (let i = 0; i < ids.length; i++) {
        const group = ids[i] ?? 0;
        sums[group] = (sums[group] ?? 0) + (values[i] ?? 0);
        counts[group] = (counts[group] ?? 0) + 1;
      }
    },
    merge(states, ids, groups) {
      grow(groups);
      readStates('mean', states, { exactly: 16 }, (view, row) => {
        const group = ids[row] ?? 0;
        sums[group] = (sums[group] ?? 0) + view.getFloat64(0, true);
        counts[group] = (counts[group] ?? 0) + Number(view.getBigInt64(8, true));
      });
    },
    result(groups) {
      grow(groups);
      const values = Float64Array.from({ length: groups }, (_, group) => (sums[group] ?? 0) / (counts[group] ?? 0));
      return { type: 'FLOAT64', length: groups, values };
    },
    states(groups) {
      grow(groups);
      return writeStates(groups, 16, (view, group) => {
        view.setFloat64(0, sums[group] ?? 0, true);
        view.setBigInt64(8, BigInt(counts[group] ?? 0), true);
      });
    },
  };
}
