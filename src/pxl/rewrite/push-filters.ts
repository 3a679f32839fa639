// A filter moves towards the source where it gives the same rows: past columns that are only carried, to the keys of an
// aggregate, into the inputs of a union, to the side of a join whose rows decide. Never past another filter (which may
// guard it) or a limit.
import type { Expression } from '../../plan/expression.ts';
import type { JoinOperator, Operator, Plan } from '../../plan/plan.ts';
import { columnsRead, rewriteOperators, substitute } from './walk.ts';

export const pushFilters = (plan: Plan): Plan =>
  rewriteOperators(plan, (operator, owned) =>
    operator.kind === 'filter' && owned ? filtered(operator.input, operator.predicate) : operator,
  );

/** The rows of `input` for which `predicate` holds. */
function filtered(input: Operator, predicate: Expression): Operator {
  const reads = [...columnsRead(predicate)];
  const here: Operator = { kind: 'filter', input, predicate, schema: input.schema };
  switch (input.kind) {
    case 'map': {
      const made = new Map(input.columns.map(({ name, expression }) => [name, expression]));
      const carried = reads.every((name) => made.get(name)?.kind === 'column');
      if (!carried) return here;
      return {
        ...input,
        input: filtered(
          input.input,
          substitute(predicate, (name) => made.get(name)),
        ),
      };
    }
    case 'aggregate': {
      const keysOnly = reads.length > 0 && reads.every((name) => input.keys.includes(name));
      return keysOnly ? { ...input, input: filtered(input.input, predicate) } : here;
    }
    case 'union':
      return { ...input, inputs: input.inputs.map((each) => filtered(each, predicate)) };
    case 'join':
      return intoJoin(input, predicate, reads) ?? here;
    case 'source':
    case 'remote':
    case 'filter':
    case 'limit':
      return here;
  }
}

function intoJoin(join: JoinOperator, predicate: Expression, reads: readonly string[]): Operator | undefined {
  const from = new Map(join.columns.map((column) => [column.name, column]));
  const sides = new Set(reads.map((name) => from.get(name)?.side));
  const [side] = sides;
  if (sides.size !== 1 || side === undefined || (join.how !== 'inner' && join.how !== side)) return undefined;
  const input = join[side];
  const below = substitute(predicate, (name) => {
    const field = input.schema.find((candidate) => candidate.name === from.get(name)?.column);
    return field === undefined ? undefined : { kind: 'column', ...field };
  });
  return { ...join, [side]: filtered(input, below) };
}
