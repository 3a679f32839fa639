// How the bytes of the store are shared out among its tables.
import type { TableDefinition } from '../model/catalogue.ts';

export const BUDGET_BYTES_DEFAULT = 256 * 1024 * 1024;

/** Parts of the whole that named tables get. */
export const SHARES_DEFAULT: Readonly<Record<string, number>> = {
  http_events: 0.4,
  stirling_error: 0.005,
  probe_status: 0.005,
  proc_exit_events: 0.02,
};

/** For a table that nothing fills: room to be wrong about that. */
const UNFILLED_SHARE = 0.002;

/**
 * Bytes per table: `shares` of the whole for those named, a little for those that nothing fills, and equal parts of the
 * rest for all others. Throws a RangeError where the shares leave nothing for the others.
 */
export function shareBudget(
  tables: readonly TableDefinition[],
  budgetBytes: number,
  shares: Readonly<Record<string, number>>,
): ReadonlyMap<string, number> {
  const fixed = new Map(
    tables.flatMap(({ name, filled }) => {
      const share = shares[name] ?? (filled ? undefined : UNFILLED_SHARE);
      return share === undefined ? [] : [[name, share] as const];
    }),
  );
  const left = 1 - [...fixed.values()].reduce((sum, share) => sum + share, 0);
  const others = tables.length - fixed.size;
  if (left < 0 || (others > 0 && left === 0)) {
    throw new RangeError(`the tables' shares are ${(1 - left).toFixed(3)} of the budget; keep them below 1`);
  }
  return new Map(tables.map(({ name }) => [name, Math.floor(budgetBytes * (fixed.get(name) ?? left / others))]));
}
