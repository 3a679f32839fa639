// A limit moves below maps, so that columns are computed for the kept rows only; of two limits the smaller counts.
import type { Operator, Plan } from '../../plan/plan.ts';
import { rewriteOperators } from './walk.ts';

export const pushLimits = (plan: Plan): Plan =>
  rewriteOperators(plan, (operator, owned) =>
    operator.kind === 'limit' && owned ? limited(operator.input, operator.rows) : operator,
  );

function limited(input: Operator, rows: number): Operator {
  if (input.kind === 'map') return { ...input, input: limited(input.input, rows) };
  if (input.kind === 'limit') return { ...input, rows: Math.min(rows, input.rows) };
  return { kind: 'limit', input, rows, schema: input.schema };
}
