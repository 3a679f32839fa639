// A run over [start, end) sees no row from `end` on: a source with no end, or a later one, ends there (design, Window).
import type { TimeNs } from '../../model/time.ts';
import type { Plan } from '../../plan/plan.ts';
import { rewriteOperators } from './walk.ts';

export const cutToWindow = (plan: Plan, end: TimeNs): Plan =>
  rewriteOperators(plan, (operator) =>
    operator.kind === 'source' && (operator.end === undefined || operator.end > end) ? { ...operator, end } : operator,
  );
