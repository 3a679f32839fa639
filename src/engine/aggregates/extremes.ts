// min and max. State: u8 (1 where a value was seen), then i64 or f64. Without a value the result is the far end of the
// type: for `min` its largest, for `max` its smallest (of FLOAT64 the lowest finite double). NaN is never selected.
import type { Column } from '../../columns/column.ts';
import type { DataType } from '../../model/types.ts';
import { float64s, int64s } from '../functions/kernel.ts';
import { halves } from '../operators/key-table.ts';
import { grownTo, readStates, writeStates, type Accumulator } from './accumulator.ts';

const INT64_MAX = 0x7fff_ffff_ffff_ffffn;
const INT64_MIN = -INT64_MAX - 1n;

export function createExtreme(which: 'min' | 'max', type: DataType): Accumulator {
  return type === 'FLOAT64' ? createFloatExtreme(which) : createIntExtreme(which, type === 'TIME64NS' ? type : 'INT64');
}

/** For integers the far end needs no mark that a value was seen: as a starting value it gives the same result. */
function createIntExtreme(which: 'min' | 'max', type: 'INT64' | 'TIME64NS'): Accumulator {
  const isMax = which === 'max';
  const start = isMax ? INT64_MIN : INT64_MAX;
  const make = (length: number): BigInt64Array => new BigInt64Array(length).fill(start);
  let best = make(0);
  return {
    get byteSize() {
      return best.byteLength;
    },
    update([column], ids, groups) {
      best = grownTo(best, groups, make);
      const values = int64s(column);
      if (isMax) keepLargest(best, values, ids);
      else keepSmallest(best, values, ids);
    },
    merge(states, ids, groups) {
      best = grownTo(best, groups, make);
      readStates(which, states, { exactly: 9 }, (view, row) => {
        const value = view.getBigInt64(1, true);
        const group = ids[row] ?? 0;
        const current = best[group] ?? start;
        if (isMax ? value > current : value < current) best[group] = value;
      });
    },
    result(groups): Column {
      best = grownTo(best, groups, make);
      return { type, length: groups, values: best.slice(0, groups) };
    },
    states(groups) {
      best = grownTo(best, groups, make);
      return writeStates(groups, 9, (view, group) => {
        view.setUint8(0, 1);
        view.setBigInt64(1, best[group] ?? start, true);
      });
    },
  };
}

/**
 * By 32-bit halves: compared as bigint, a single value of -2^63 (which groups start with) makes V8 give up its 64-bit
 * instructions for heap numbers, five times slower.
 */
function keepLargest(best: BigInt64Array, values: BigInt64Array, ids: Int32Array): void {
  const [kept, offered] = [halves(best), halves(values)];
  for (let i = 0; i < ids.length; i++) {
    const to = ids[i]! * 2;
    const high = offered[2 * i + 1]!;
    const keptHigh = kept[to + 1]!;
    if (high > keptHigh || (high === keptHigh && offered[2 * i]! >>> 0 > kept[to]! >>> 0)) {
      kept[to] = offered[2 * i]!;
      kept[to + 1] = high;
    }
  }
}

function keepSmallest(best: BigInt64Array, values: BigInt64Array, ids: Int32Array): void {
  const [kept, offered] = [halves(best), halves(values)];
  for (let i = 0; i < ids.length; i++) {
    const to = ids[i]! * 2;
    const high = offered[2 * i + 1]!;
    const keptHigh = kept[to + 1]!;
    if (high < keptHigh || (high === keptHigh && offered[2 * i]! >>> 0 < kept[to]! >>> 0)) {
      kept[to] = offered[2 * i]!;
      kept[to + 1] = high;
    }
  }
}

/** Starts at NaN, which no comparison selects and which any number replaces. */
function createFloatExtreme(which: 'min' | 'max'): Accumulator {
  const isMax = which === 'max';
  const make = (length: number): Float64Array => new Float64Array(length).fill(Number.NaN);
  let best = make(0);
  const offer = (group: number, value: number): void => {
    const current = best[group] ?? Number.NaN;
    if (isMax ? value > current : value < current) best[group] = value;
    else if (Number.isNaN(current)) best[group] = value;
  };
  return {
    get byteSize() {
      return best.byteLength;
    },
    update([column], ids, groups) {
      best = grownTo(best, groups, make);
      const values = float64s(column);
      for (let i = 0; i < ids.length; i++) offer(ids[i] ?? 0, values[i] ?? 0);
    },
    merge(states, ids, groups) {
      best = grownTo(best, groups, make);
      readStates(which, states, { exactly: 9 }, (view, row) => {
        if (view.getUint8(0) === 1) offer(ids[row] ?? 0, view.getFloat64(1, true));
      });
    },
    result(groups) {
      best = grownTo(best, groups, make);
      const farEnd = isMax ? -Number.MAX_VALUE : Number.MAX_VALUE;
      const values = best.slice(0, groups).map((value) => (Number.isNaN(value) ? farEnd : value));
      return { type: 'FLOAT64', length: groups, values };
    },
    states(groups) {
      best = grownTo(best, groups, make);
      return writeStates(groups, 9, (view, group) => {
        const value = best[group] ?? Number.NaN;
        view.setUint8(0, Number.isNaN(value) ? 0 : 1);
        view.setFloat64(1, Number.isNaN(value) ? 0 : value, true);
      });
    },
  };
}
