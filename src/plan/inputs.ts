// The edges of the operator tree.
import type { Operator } from './plan.ts';

/** The operators that feed `operator`. */
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
