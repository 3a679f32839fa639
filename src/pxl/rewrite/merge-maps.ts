// Consecutive maps become one where no computed column is used twice, and a map that changes nothing goes away.
import type { Expression } from '../../plan/expression.ts';
import type { MapOperator, Operator, Plan } from '../../plan/plan.ts';
import { rewriteOperators, substitute } from './walk.ts';

export const mergeMaps = (plan: Plan): Plan =>
  rewriteOperators(plan, (operator, owned) => {
    if (operator.kind !== 'map') return operator;
    const merged = owned && operator.input.kind === 'map' ? merge(operator, operator.input) : operator;
    return isIdentity(merged) ? merged.input : merged;
  });

function merge(outer: MapOperator, inner: MapOperator): MapOperator {
  const made = new Map(inner.columns.map(({ name, expression }) => [name, expression]));
  const uses = new Map<string, number>();
  for (const { expression } of outer.columns) countUses(expression, uses);
  for (const [name, count] of uses) if (count > 1 && made.get(name)?.kind === 'call') return outer;
  const columns = outer.columns.map(({ name, expression }) => ({
    name,
    expression: substitute(expression, (column) => made.get(column)),
  }));
  if (columns.some(({ expression }) => sizeOf(expression) > NODES_MAX)) return outer;
  return { ...outer, input: inner.input, columns };
}

/** Keeps expressions shallow enough for everything that walks them. */
const NODES_MAX = 200;

const sizeOf = (expression: Expression): number =>
  expression.kind === 'call' ? expression.args.reduce((sum, arg) => sum + sizeOf(arg), 1) : 1;

function countUses(expression: Expression, uses: Map<string, number>): void {
  if (expression.kind === 'column') uses.set(expression.name, (uses.get(expression.name) ?? 0) + 1);
  else if (expression.kind === 'call') for (const arg of expression.args) countUses(arg, uses);
}

function isIdentity({ input, columns }: MapOperator): boolean {
  const fields: Operator['schema'] = input.schema;
  return (
    columns.length === fields.length &&
    columns.every(({ name, expression }, i) => {
      const field = fields[i];
      const same = expression.kind === 'column' && expression.name === name && field?.name === name;
      return same && expression.semanticType === field.semanticType;
    })
  );
}
