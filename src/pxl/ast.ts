// The syntax tree of PxL: what the grammar leaves of Python. `at` is the offset that diagnostics point to:
// the first character of names and literals, the operator of an operation, the parenthesis of a call.

export type Node =
  | { readonly kind: 'name'; readonly at: number; readonly name: string }
  | { readonly kind: 'int'; readonly at: number; readonly value: bigint }
  | { readonly kind: 'float'; readonly at: number; readonly value: number }
  | { readonly kind: 'string'; readonly at: number; readonly value: string }
  | { readonly kind: 'bool'; readonly at: number; readonly value: boolean }
  | { readonly kind: 'none'; readonly at: number }
  | { readonly kind: 'list'; readonly at: number; readonly items: readonly Node[] }
  | { readonly kind: 'tuple'; readonly at: number; readonly items: readonly Node[] }
  | {
      readonly kind: 'dict';
      readonly at: number;
      readonly entries: readonly { readonly key: Node; readonly value: Node }[];
    }
  | { readonly kind: 'attribute'; readonly at: number; readonly object: Node; readonly name: string }
  | { readonly kind: 'subscript'; readonly at: number; readonly object: Node; readonly index: Node }
  | { readonly kind: 'call'; readonly at: number; readonly callee: Node; readonly args: readonly Argument[] }
  | { readonly kind: 'unary'; readonly at: number; readonly operator: UnaryOperator; readonly operand: Node }
  | {
      readonly kind: 'binary';
      readonly at: number;
      readonly operator: BinaryOperator;
      readonly left: Node;
      readonly right: Node;
    }
  /** What could not be read; already reported. */
  | { readonly kind: 'invalid'; readonly at: number };

export interface Argument {
  readonly name?: string;
  readonly at: number;
  readonly value: Node;
}

export type UnaryOperator = '-' | '+' | '~' | 'not';
export type BinaryOperator = '+' | '-' | '*' | '/' | '%' | '==' | '!=' | '<' | '<=' | '>' | '>=' | 'and' | 'or';

export interface Parameter {
  readonly name: string;
  readonly at: number;
  readonly annotation?: Node;
  readonly default?: Node;
}

export interface FunctionStatement {
  readonly kind: 'function';
  readonly at: number;
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly decorator?: Node;
  readonly body: readonly Statement[];
}

export type Statement =
  | { readonly kind: 'expression'; readonly at: number; readonly value: Node }
  /** `annotation` only on a plain name: it declares an argument of the script with its default. */
  | {
      readonly kind: 'assign';
      readonly at: number;
      readonly target: Node;
      readonly annotation?: Node;
      readonly value: Node;
    }
  | { readonly kind: 'import'; readonly at: number; readonly module: string; readonly as: string }
  | {
      readonly kind: 'from';
      readonly at: number;
      readonly module: string;
      readonly names: readonly { readonly name: string; readonly as: string; readonly at: number }[];
    }
  | { readonly kind: 'return'; readonly at: number; readonly value?: Node }
  | FunctionStatement;
