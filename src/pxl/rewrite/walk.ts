// Rebuilding a plan bottom-up. Operators that are shared stay shared: each is visited once.
import type { Operator, Plan } from '../../plan/plan.ts';

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

export function inputsOf(operator: Operator): readonly Operator[] {
  switch (operator.kind) {
    case 'source':
    case 'remote':
      return [];
    case 'filter':
    case 'map':
    case 'aggregate':
    case 'limit':
      return [operator.input];
    case 'join':
      return [operator.left, operator.right];
    case 'union':
      return operator.inputs;
  }
}

/** Applies `rule` to every operator, inputs first. `rule` gives the same operator where it has nothing to do. */
export function rewriteOperators(plan: Plan, rule: (operator: Operator) => Operator): Plan {
  const done = new Map<Operator, Operator>();
  const visit = (operator: Operator): Operator => {
    const known = done.get(operator);
    if (known !== undefined) return known;
    const result = rule(withInputs(operator, visit));
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
