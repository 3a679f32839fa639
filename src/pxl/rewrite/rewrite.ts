// The rewrites of a plan, in order. Each keeps what the sinks see: the columns they read and the rows.
import type { TimeNs } from '../../model/time.ts';
import type { Plan } from '../../plan/plan.ts';
import { cutToWindow } from './cut-to-window.ts';
import { foldConstants } from './fold-constants.ts';
import { mergeMaps } from './merge-maps.ts';
import { pruneColumns } from './prune-columns.ts';
import { pushFilters } from './push-filters.ts';
import { pushLimits } from './push-limits.ts';

export function rewrite(plan: Plan, window: { readonly start: TimeNs; readonly end: TimeNs } | undefined): Plan {
  const cut = window === undefined ? plan : cutToWindow(plan, window.end);
  return [foldConstants, pushFilters, pushLimits, mergeMaps, pruneColumns, mergeMaps].reduce(
    (each, rule) => rule(each),
    cut,
  );
}
