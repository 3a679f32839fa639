// What is decided while compiling is not computed per row: `and`, `or`, `not`, `select` with literals, the search for ''
// that scripts use as "no filter"; a filter that keeps everything is no filter.
import type { Expression } from '../../plan/expression.ts';
import type { Plan } from '../../plan/plan.ts';
import { rewriteOperators } from './walk.ts';

const truth = (value: boolean): Expression => ({ kind: 'literal', value, type: 'BOOLEAN', semanticType: 'ST_NONE' });

const isLiteral = (expression: Expression | undefined, value: unknown): boolean =>
  expression?.kind === 'literal' && expression.value === value;

/** `a and b`, `a or b` with a BOOLEAN literal among them; undefined where there is none. */
function simplifyLogic(name: string, a: Expression, b: Expression): Expression | undefined {
  const decides = name === 'logicalOr';
  if (isLiteral(a, decides) || isLiteral(b, decides)) return truth(decides);
  if (isLiteral(a, !decides)) return b;
  return isLiteral(b, !decides) ? a : undefined;
}

export function simplify(expression: Expression): Expression {
  if (expression.kind !== 'call') return expression;
  const args = expression.args.map(simplify);
  const [a, b, c] = args;
  const boolean = a?.type === 'BOOLEAN';
  if (expression.function === 'contains' && isLiteral(b, '')) return truth(true);
  if ((expression.function === 'logicalAnd' || expression.function === 'logicalOr') && boolean && b !== undefined) {
    return simplifyLogic(expression.function, a, b) ?? { ...expression, args };
  }
  if (expression.function === 'logicalNot' && boolean && a.kind === 'literal') return truth(a.value === false);
  if (expression.function === 'select' && a?.kind === 'literal' && b !== undefined && c !== undefined) {
    return { ...(a.value === true ? b : c), semanticType: expression.semanticType };
  }
  return { ...expression, args };
}

export const foldConstants = (plan: Plan): Plan =>
  rewriteOperators(plan, (operator) => {
    if (operator.kind === 'map') {
      const columns = operator.columns.map(({ name, expression }) => ({ name, expression: simplify(expression) }));
      return { ...operator, columns };
    }
    if (operator.kind !== 'filter') return operator;
    const predicate = simplify(operator.predicate);
    return isLiteral(predicate, true) ? operator.input : { ...operator, predicate };
  });
