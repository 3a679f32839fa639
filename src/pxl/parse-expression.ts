// Expressions of the grammar's tree -> our syntax tree. Python that PxL does not have is named as such.
import type { SyntaxNode } from '@lezer/common';
import type { Argument, BinaryOperator, Node, UnaryOperator } from './ast.ts';
import type { Diagnostics } from './diagnostics.ts';
import { parseNumber, parseString } from './literals.ts';

export interface Reader {
  /** The repaired text that the tree's offsets refer to. */
  readonly text: string;
  readonly original: (offset: number) => number;
  readonly diagnostics: Diagnostics;
  depth: number;
  readonly depthMax: number;
}

/** Children but comments; error nodes of tolerated doubled commas are left out too. */
export function childrenOf(node: SyntaxNode): SyntaxNode[] {
  const children: SyntaxNode[] = [];
  for (let child = node.firstChild; child !== null; child = child.nextSibling) {
    if (child.name !== 'Comment' && !child.type.isError) children.push(child);
  }
  return children;
}

const RESERVED = new Set(['exec', 'nonlocal', 'print']);

/** The text of a name; reports names that PxL reserves although the grammar takes them. */
export function identifier(reader: Reader, node: SyntaxNode): string {
  const name = reader.text.slice(node.from, node.to);
  if (RESERVED.has(name)) {
    reader.diagnostics.report('SYNTAX_ERROR', reader.original(node.from), `'${name}' is a reserved word`);
  }
  return name;
}

const ATTRIBUTE_RESERVED = new Set(
  'and as assert break class continue def del elif else except exec finally for from global if import in is lambda nonlocal not or pass raise return try while with yield'.split(
    ' ',
  ),
);

/** `children` separated by commas: one expression, or a tuple where there is a comma. */
export function readTupleOf(reader: Reader, children: readonly SyntaxNode[], at: number): Node {
  const items = children.filter((child) => child.name !== ',');
  const [only] = items;
  if (only === undefined) return invalid(reader, 'SYNTAX_ERROR', at, 'an expression is missing');
  if (children.length === 1) return readExpression(reader, only);
  return { kind: 'tuple', at: reader.original(only.from), items: items.map((item) => readExpression(reader, item)) };
}

function invalid(
  reader: Reader,
  code: Parameters<Diagnostics['report']>[0],
  at: number,
  message: string,
  hint?: string,
): Node {
  reader.diagnostics.report(code, at, message, hint);
  return { kind: 'invalid', at };
}

/** Reads one expression. Depth is bounded, so any tree is safe to walk. */
export function readExpression(reader: Reader, node: SyntaxNode): Node {
  const at = reader.original(node.from);
  if (reader.depth >= reader.depthMax) {
    return invalid(reader, 'NESTING_TOO_DEEP', at, `operators and calls are nested deeper than ${reader.depthMax}`);
  }
  reader.depth++;
  try {
    return readByName(reader, node, at);
  } finally {
    reader.depth--;
  }
}

function readByName(reader: Reader, node: SyntaxNode, at: number): Node {
  const text = (): string => reader.text.slice(node.from, node.to);
  switch (node.name) {
    case 'VariableName':
      return { kind: 'name', at, name: identifier(reader, node) };
    case 'Number': {
      const number = parseNumber(text());
      return number.kind === 'invalid'
        ? invalid(reader, 'INVALID_NUMBER', at, number.message, number.suggestion)
        : { ...number, at };
    }
    case 'String':
      return { kind: 'string', at, value: parseString(text()) };
    case 'ContinuedString':
      return readContinuedString(reader, node, at);
    case 'Boolean':
      return { kind: 'bool', at, value: text() === 'True' };
    case 'None':
      return { kind: 'none', at };
    case 'ParenthesizedExpression': {
      const inner = childrenOf(node).filter((child) => child.name !== '(' && child.name !== ')');
      return readTupleOf(reader, inner, at);
    }
    case 'TupleExpression':
    case 'ArrayExpression': {
      const items = childrenOf(node).filter((child) => !'(),[]'.includes(child.name));
      return {
        kind: node.name === 'TupleExpression' ? 'tuple' : 'list',
        at,
        items: items.map((item) => readExpression(reader, item)),
      };
    }
    case 'DictionaryExpression':
      return readDict(reader, node, at);
    case 'MemberExpression':
      return readMember(reader, node, at);
    case 'CallExpression':
      return readCall(reader, node, at);
    case 'UnaryExpression':
      return readUnary(reader, node, at);
    case 'BinaryExpression':
      return readBinary(reader, node, at);
    default:
      return invalid(
        reader,
        'UNSUPPORTED_EXPRESSION',
        at,
        `PxL has no ${EXPRESSION_NAMES[node.name] ?? `'${text().slice(0, 20)}'`}`,
        EXPRESSION_HINTS[node.name],
      );
  }
}

const EXPRESSION_NAMES: Readonly<Record<string, string>> = {
  FormatString: 'f-strings',
  ConditionalExpression: 'conditional expressions',
  LambdaExpression: 'lambda',
  NamedExpression: 'assignment expressions',
  AwaitExpression: 'await',
  YieldExpression: 'yield',
  ComprehensionExpression: 'generators',
  ArrayComprehensionExpression: 'comprehensions',
  DictionaryComprehensionExpression: 'comprehensions',
  SetExpression: 'sets',
  SetComprehensionExpression: 'comprehensions',
  Ellipsis: '...',
};

const EXPRESSION_HINTS: Readonly<Record<string, string>> = {
  ConditionalExpression: 'use px.select(condition, a, b)',
  FormatString: 'join strings with +',
  LambdaExpression: 'define a function with def',
};

function readContinuedString(reader: Reader, node: SyntaxNode, at: number): Node {
  let value = '';
  for (const part of childrenOf(node)) {
    if (part.name !== 'String') return readExpression(reader, part);
    value += parseString(reader.text.slice(part.from, part.to));
  }
  return { kind: 'string', at, value };
}

function readDict(reader: Reader, node: SyntaxNode, at: number): Node {
  const parts = childrenOf(node).filter((child) => !'{},:'.includes(child.name));
  if (parts.some((part) => part.name === '**'))
    return invalid(reader, 'UNSUPPORTED_EXPRESSION', at, "PxL has no '**' in a dict");
  const entries: { key: Node; value: Node }[] = [];
  for (let i = 0; i + 1 < parts.length; i += 2) {
    const [key, value] = [parts[i], parts[i + 1]];
    if (key !== undefined && value !== undefined)
      entries.push({ key: readExpression(reader, key), value: readExpression(reader, value) });
  }
  return { kind: 'dict', at, entries };
}

function readMember(reader: Reader, node: SyntaxNode, at: number): Node {
  const [objectNode, mark, ...rest] = childrenOf(node);
  if (objectNode === undefined || mark === undefined)
    return invalid(reader, 'SYNTAX_ERROR', at, 'a name is missing here');
  const object = readExpression(reader, objectNode);
  if (mark.name === '.') {
    const [property] = rest;
    if (property === undefined)
      return invalid(reader, 'SYNTAX_ERROR', reader.original(mark.to), "a name is missing after '.'");
    const name = reader.text.slice(property.from, property.to);
    const nameAt = reader.original(property.from);
    if (ATTRIBUTE_RESERVED.has(name)) {
      return invalid(reader, 'SYNTAX_ERROR', nameAt, `'${name}' is a reserved word`, `write ['${name}']`);
    }
    return { kind: 'attribute', at: nameAt, object, name };
  }
  const parts = rest.filter((child) => child.name !== ']');
  if (parts.some((child) => child.name === ':')) {
    return invalid(
      reader,
      'UNSUPPORTED_EXPRESSION',
      reader.original(mark.from),
      'PxL has no slices',
      'use head(n) for the first rows',
    );
  }
  return {
    kind: 'subscript',
    at: reader.original(mark.from),
    object,
    index: readTupleOf(reader, parts, reader.original(mark.from)),
  };
}

function readCall(reader: Reader, node: SyntaxNode, at: number): Node {
  const [calleeNode, list] = childrenOf(node);
  if (calleeNode === undefined || list === undefined)
    return invalid(reader, 'SYNTAX_ERROR', at, 'a call is not complete');
  const callee = readExpression(reader, calleeNode);
  const parts = childrenOf(list).slice(1, -1);
  const args: Argument[] = [];
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i];
    if (part === undefined || part.name === ',') continue;
    const partAt = reader.original(part.from);
    if (part.name === '*' || part.name === '**' || part.name === 'for' || part.name === 'async') {
      reader.diagnostics.report('UNSUPPORTED_EXPRESSION', partAt, `PxL has no '${part.name}' in a call`);
      break;
    }
    const value = parts[i + 2];
    if (parts[i + 1]?.name === 'AssignOp' && value !== undefined) {
      args.push({ name: identifier(reader, part), at: partAt, value: readExpression(reader, value) });
      i += 2;
      continue;
    }
    if (args.some((arg) => arg.name !== undefined)) {
      reader.diagnostics.report('SYNTAX_ERROR', partAt, 'a positional argument stands after a keyword argument');
    }
    args.push({ at: partAt, value: readExpression(reader, part) });
  }
  return { kind: 'call', at: reader.original(list.from), callee, args };
}

function readUnary(reader: Reader, node: SyntaxNode, at: number): Node {
  const [sign, operandNode] = childrenOf(node);
  if (sign === undefined || operandNode === undefined)
    return invalid(reader, 'SYNTAX_ERROR', at, 'an operand is missing');
  const operator = reader.text.slice(sign.from, sign.to);
  return { kind: 'unary', at, operator: asUnary(operator), operand: readExpression(reader, operandNode) };
}

const asUnary = (operator: string): UnaryOperator =>
  operator === '-' || operator === '+' || operator === '~' ? operator : 'not';

const BINARY: ReadonlyMap<string, BinaryOperator> = new Map<string, BinaryOperator>([
  ...(['+', '-', '*', '/', '%', '==', '!=', '<', '<=', '>', '>=', 'and', 'or'] as const).map((op) => [op, op] as const),
  ['<>', '!='],
]);
const COMPARISONS = new Set(['==', '!=', '<>', '<', '<=', '>', '>=']);

/** Chains of one operator are read in a loop: `a and b and c …` may be long without being deep. */
function readBinary(reader: Reader, node: SyntaxNode, at: number): Node {
  const steps: { readonly operator: BinaryOperator; readonly at: number; readonly right: SyntaxNode }[] = [];
  let left: SyntaxNode = node;
  while (left.name === 'BinaryExpression' && steps.length < CHAIN_MAX) {
    const [first, ...rest] = childrenOf(left);
    const right = rest.at(-1);
    const [mark] = rest;
    if (first === undefined || mark === undefined || right === undefined || rest.length < 2) {
      return invalid(reader, 'SYNTAX_ERROR', at, 'an operand is missing');
    }
    const written = rest
      .slice(0, -1)
      .map((part) => reader.text.slice(part.from, part.to))
      .join(' ');
    const operator = BINARY.get(written);
    const markAt = reader.original(mark.from);
    if (operator === undefined)
      return invalid(
        reader,
        'UNSUPPORTED_OPERATOR',
        markAt,
        `PxL has no operator '${written}'`,
        OPERATOR_HINTS[written],
      );
    if (COMPARISONS.has(written) && isComparison(reader, first)) {
      return invalid(
        reader,
        'UNSUPPORTED_OPERATOR',
        markAt,
        'comparisons cannot be chained',
        'write (a < b) and (b < c)',
      );
    }
    steps.push({ operator, at: markAt, right });
    left = first;
  }
  let result = readExpression(reader, left);
  for (const step of steps.reverse()) {
    result = {
      kind: 'binary',
      at: step.at,
      operator: step.operator,
      left: result,
      right: readExpression(reader, step.right),
    };
  }
  return result;
}

/** Operators in one chain without brackets. */
const CHAIN_MAX = 400;

function isComparison(reader: Reader, node: SyntaxNode): boolean {
  if (node.name !== 'BinaryExpression') return false;
  const mark = childrenOf(node)[1];
  return mark !== undefined && COMPARISONS.has(reader.text.slice(mark.from, mark.to));
}

const OPERATOR_HINTS: Readonly<Record<string, string>> = {
  '&': "use 'and'",
  '|': "use 'or'",
  '//': 'use px.floor(a / b)',
  '**': 'use px.pow(a, b)',
  in: 'use px.equals_any(x, [a, b])',
  'not in': 'use not px.equals_any(x, [a, b])',
  is: "use '=='",
};
