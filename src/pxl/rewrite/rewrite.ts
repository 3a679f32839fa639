// The rewrites of a plan, in order. Each keeps what the sinks see: schema and rows.
import type { TimeNs } from '../../model/time.ts';
import type { Plan } from '../../plan/plan.ts';
import { cutToWindow } from './cut-to-window.ts';
import { pruneColumns } from './prune-columns.ts';

export function rewrite(plan: Plan, window: { readonly start: TimeNs; readonly end: TimeNs } | undefined): Plan {
  const cut = window === undefined ? plan : cutToWindow(plan, window.end);
  return pruneColumns(cut);
}
