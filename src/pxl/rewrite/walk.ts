// Rebuilding a plan bottom-up. Operators that are shared stay shared: each is visited once.
import type { Expression } from '../../plan/expression.ts';
import type { Operator, Plan } from '../../plan/plan.ts';
import { inputsOf } from '../../plan/inputs.ts';

/** `operator` with its inputs replaced; the same object where nothing changed. */
export function withInputs(operator: Operator, change: (input: Operator) => Operator): Operator {
  switch (operator.kind) {
    case 'source':
    case 'remote':
      return operator;
    case 'filter':
    case 'map':
    case 'aggregate':
    case 'limit': {
      const input = change(operator.input);
      return input === operator.input ? operator : { ...operator, input };
    }
    case 'join': {
      const [left, right] = [change(operator.left), change(operator.right)];
      return left === operator.left && right === operator.right ? operator : { ...operator, left, right };
    }
    case 'union': {
      const inputs = operator.inputs.map(change);
      return inputs.every((input, i) => input === operator.inputs[i]) ? operator : { ...operator, inputs };
    }
  }
}

/** Gives the same operator where it has nothing to do. `owned`: no one but `operator` reads its (first) input. */
export type Rule = (operator: Operator, owned: boolean) => Operator;

/** Applies `rule` to every operator, inputs first. */
export function rewriteOperators(plan: Plan, rule: Rule): Plan {
  const readers = new Map<Operator, number>();
  for (const { input } of plan.sinks) readers.set(input, (readers.get(input) ?? 0) + 1);
  for (const operator of consumersFirst(plan)) {
    for (const input of inputsOf(operator)) readers.set(input, (readers.get(input) ?? 0) + 1);
  }
  const done = new Map<Operator, Operator>();
  const visit = (operator: Operator): Operator => {
    const known = done.get(operator);
    if (known !== undefined) return known;
    const [first] = inputsOf(operator);
    const result = rule(withInputs(operator, visit), first !== undefined && readers.get(first) === 1);
    done.set(operator, result);
    return result;
  };
  return { sinks: plan.sinks.map((sink) => ({ ...sink, input: visit(sink.input) })) };
}

/** All operators of a plan, each once, consumers before their inputs. */
export function consumersFirst(plan: Plan): readonly Operator[] {
  const seen = new Set<Operator>();
  const order: Operator[] = [];
  const visit = (operator: Operator): void => {
    if (seen.has(operator)) return;
    seen.add(operator);
    inputsOf(operator).forEach(visit);
    order.push(operator);
  };
  for (const sink of plan.sinks) visit(sink.input);
  return order.reverse();
}

/** Names of the columns that `expression` reads, added to `into`. */
export function columnsRead(expression: Expression, into: Set<string> = new Set()): Set<string> {
  if (expression.kind === 'column') into.add(expression.name);
  else if (expression.kind === 'call') for (const arg of expression.args) columnsRead(arg, into);
  return into;
}

/** `expression` with each column replaced by what `of` gives for it, under the semantic type that it had here. */
export function substitute(expression: Expression, of: (name: string) => Expression | undefined): Expression {
  if (expression.kind === 'literal') return expression;
  if (expression.kind === 'call') return { ...expression, args: expression.args.map((arg) => substitute(arg, of)) };
  const found = of(expression.name);
  return found === undefined ? expression : { ...found, semanticType: expression.semanticType };
}
