// Text -> syntax tree. The grammar is @lezer/python's; this file drives it with a deadline and reads statements,
// parse-expression.ts reads expressions. Never throws for any text: what cannot be read is reported.
import type { SyntaxNode } from '@lezer/common';
import { parser } from '@lezer/python';
import type { FunctionStatement, Node, Parameter, Statement } from './ast.ts';
import type { Diagnostics } from './diagnostics.ts';
import type { Limits } from './limits.ts';
import { type Reader, childrenOf, identifier, readExpression, readTupleOf } from './parse-expression.ts';
import { type Scan, scan } from './scan.ts';

export interface ParsedScript {
  readonly statements: readonly Statement[];
  readonly lineComments: Scan['lineComments'];
}

const SYNTAX_ERRORS_MAX = 10;

/** Parses `source`. Undefined where the text is not PxL; `diagnostics` then has at least one error. */
export function parse(
  source: string,
  limits: Limits,
  deadlineMs: number,
  diagnostics: Diagnostics,
): ParsedScript | undefined {
  if (source.length > limits.sourceLengthMax) {
    diagnostics.report(
      'SOURCE_TOO_LARGE',
      0,
      `the script has ${source.length} characters; at most ${limits.sourceLengthMax} are read`,
    );
    return undefined;
  }
  const { text, original, lineComments, problems } = scan(source, limits);
  for (const problem of problems) diagnostics.report(problem.code, problem.at, problem.message, problem.suggestion);
  if (problems.length > 0) return undefined;

  const partial = parser.startParse(text);
  let tree = partial.advance();
  while (tree === null) {
    if (performance.now() > deadlineMs) {
      diagnostics.report(
        'COMPILE_TIMEOUT',
        original(partial.parsedPos),
        `parsing took longer than ${limits.timeMs} ms`,
      );
      return undefined;
    }
    tree = partial.advance();
  }
  const reader: Reader = { text, original, diagnostics, depth: 0, depthMax: limits.nestingMax };
  const top = tree.topNode;
  reportSyntaxErrors(reader, top);
  if (diagnostics.hasErrors()) return undefined;
  const statements = readBlock(reader, childrenOf(top), 0);
  return diagnostics.hasErrors() ? undefined : { statements, lineComments };
}

/** Reports what error recovery had to skip or make up, one per line. */
function reportSyntaxErrors(reader: Reader, top: SyntaxNode): void {
  let count = 0;
  let lastLine = -2;
  const cursor = top.cursor();
  do {
    if (!cursor.type.isError || count >= SYNTAX_ERRORS_MAX) continue;
    const { from, to } = cursor;
    // What is missing at the very end follows from what was wrong before.
    if (count > 0 && from === to && reader.text.slice(to).trim() === '') continue;
    const line = reader.text.lastIndexOf('\n', from);
    if (line === lastLine) continue;
    lastLine = line;
    count++;
    const skipped = reader.text.slice(from, to).trim().split('\n')[0] ?? '';
    const next = /\S[\w.]*/.exec(reader.text.slice(to, to + 200))?.[0];
    const what =
      skipped !== ''
        ? `unexpected '${skipped.slice(0, 40)}'`
        : `something is missing before ${next === undefined ? 'the end' : `'${next}'`}`;
    reader.diagnostics.report('SYNTAX_ERROR', reader.original(from), what);
  } while (cursor.next());
}

function readBlock(reader: Reader, nodes: readonly SyntaxNode[], indent: number): Statement[] {
  const statements: Statement[] = [];
  for (const node of nodes) {
    if (node.type.isError) continue;
    if (node.name === 'StatementGroup') {
      checkIndent(reader, node, indent);
      for (const part of childrenOf(node)) if (part.name !== ';') push(statements, readStatement(reader, part));
      continue;
    }
    checkIndent(reader, node, indent);
    push(statements, readStatement(reader, node));
  }
  return statements;
}

const push = (statements: Statement[], statement: Statement | undefined): void => {
  if (statement !== undefined) statements.push(statement);
};

/** Width of the white space before `offset` if nothing else stands before it on its line; tabs stop at 8. */
function indentOf(text: string, offset: number): number | undefined {
  const space = text.slice(text.lastIndexOf('\n', offset - 1) + 1, offset);
  if (/[^ \t\f]/.test(space)) return undefined;
  let width = 0;
  for (const c of space) width += c === '\t' ? 8 - (width % 8) : 1;
  return width;
}

function checkIndent(reader: Reader, node: SyntaxNode, indent: number): void {
  const found = indentOf(reader.text, node.from);
  if (found === undefined || found === indent || indent < 0) return;
  const what = found > indent ? 'deeper' : 'less';
  reader.diagnostics.report('SYNTAX_ERROR', reader.original(node.from), `this line is indented ${what} than its block`);
}

function readStatement(reader: Reader, node: SyntaxNode): Statement | undefined {
  const at = reader.original(node.from);
  const children = childrenOf(node);
  switch (node.name) {
    case 'ExpressionStatement':
      return { kind: 'expression', at, value: readTupleOf(reader, children, at) };
    case 'AssignStatement':
      return readAssign(reader, children, at);
    case 'ReturnStatement': {
      const values = children.slice(1);
      return values.length === 0
        ? { kind: 'return', at }
        : { kind: 'return', at, value: readTupleOf(reader, values, at) };
    }
    case 'ImportStatement':
      return readImport(reader, children, at);
    case 'FunctionDefinition':
      return readFunction(reader, children, at);
    case 'DecoratedStatement':
      return readDecorated(reader, children, at);
    default: {
      const word = /^\w+/.exec(reader.text.slice(node.from, node.from + 20))?.[0] ?? node.name;
      const name = node.name === 'UpdateStatement' ? 'augmented assignment' : `'${word}'`;
      const hint = HINTS[node.name];
      reader.diagnostics.report('UNSUPPORTED_STATEMENT', at, `PxL has no ${name} statement`, hint);
      return undefined;
    }
  }
}

const HINTS: Readonly<Record<string, string>> = {
  UpdateStatement: 'write x = x + …',
  IfStatement: 'use px.select(condition, a, b) for columns',
  PrintStatement: 'use px.display(df)',
  PassStatement: 'a function body needs at least one other statement',
};

function readAssign(reader: Reader, children: readonly SyntaxNode[], at: number): Statement | undefined {
  const { diagnostics } = reader;
  const equals = children.filter((child) => child.name === 'AssignOp');
  const typeDef = children.find((child) => child.name === 'TypeDef');
  const [first, second] = equals;
  if (first === undefined) {
    diagnostics.report('UNSUPPORTED_STATEMENT', at, 'an annotated name needs a value', 'write name: type = default');
    return undefined;
  }
  if (second !== undefined) {
    diagnostics.report(
      'UNSUPPORTED_STATEMENT',
      reader.original(second.from),
      'only one target can be assigned to',
      'use one statement for each name',
    );
    return undefined;
  }
  const split = children.indexOf(first);
  const targets = children.slice(0, split).filter((child) => child !== typeDef);
  if (targets.length !== 1 || targets[0] === undefined) {
    diagnostics.report('INVALID_ASSIGNMENT', at, 'a tuple cannot be assigned to', 'use one statement for each name');
    return undefined;
  }
  const target = readExpression(reader, targets[0]);
  const annotation = typeDef === undefined ? undefined : readTypeDef(reader, typeDef);
  const value = readTupleOf(reader, children.slice(split + 1), reader.original(first.to));
  if (target.kind === 'bool' || target.kind === 'none') {
    diagnostics.report('INVALID_ASSIGNMENT', target.at, 'True, False and None cannot be assigned to');
  } else if (
    target.kind !== 'name' &&
    target.kind !== 'attribute' &&
    target.kind !== 'subscript' &&
    target.kind !== 'invalid'
  ) {
    diagnostics.report('INVALID_ASSIGNMENT', target.at, 'only a name, a column or a member can be assigned to');
  }
  return annotation === undefined
    ? { kind: 'assign', at, target, value }
    : { kind: 'assign', at, target, annotation, value };
}

function readTypeDef(reader: Reader, node: SyntaxNode): Node {
  const type = childrenOf(node).find((child) => child.name !== ':');
  return type === undefined ? { kind: 'invalid', at: reader.original(node.from) } : readExpression(reader, type);
}

function readImport(reader: Reader, children: readonly SyntaxNode[], at: number): Statement | undefined {
  const isFrom = children[0]?.name === 'from';
  const importAt = children.findIndex((child) => child.name === 'import');
  const moduleNodes = isFrom ? children.slice(1, importAt) : children.slice(1);
  const fail = (message: string): undefined => {
    reader.diagnostics.report('UNSUPPORTED_STATEMENT', at, message);
    return undefined;
  };
  if (!isFrom) {
    if (moduleNodes.some((child) => child.name === ',' || child.name === '('))
      return fail('one module can be imported per statement');
    const names = moduleNodes
      .filter((child) => child.name === 'VariableName')
      .map((child) => identifier(reader, child));
    const hasAs = moduleNodes.some((child) => child.name === 'as');
    if (moduleNodes.some((child) => child.name === '.'))
      return { kind: 'import', at, module: names.join('.'), as: names[0] ?? '' };
    return { kind: 'import', at, module: names[0] ?? '', as: (hasAs ? names[1] : names[0]) ?? '' };
  }
  const module = moduleNodes.map((child) => reader.text.slice(child.from, child.to)).join('');
  const names: { name: string; as: string; at: number }[] = [];
  let renames = false;
  for (const child of children.slice(importAt + 1)) {
    if (child.name === '*') return fail("'import *' is not supported; name what you need");
    if (child.name === 'as') renames = true;
    if (child.name !== 'VariableName') continue;
    const name = identifier(reader, child);
    const last = names.at(-1);
    if (renames && last !== undefined) names[names.length - 1] = { ...last, as: name };
    else names.push({ name, as: name, at: reader.original(child.from) });
    renames = false;
  }
  return { kind: 'from', at, module, names };
}

function readDecorated(reader: Reader, children: readonly SyntaxNode[], at: number): Statement | undefined {
  const decorators = children.filter((child) => child.name === 'Decorator');
  const definition = children.find((child) => child.name === 'FunctionDefinition');
  if (decorators.length > 1 || definition === undefined) {
    reader.diagnostics.report('UNSUPPORTED_STATEMENT', at, 'one decorator, and only before a function, is supported');
    return undefined;
  }
  const statement = readFunction(reader, childrenOf(definition), reader.original(definition.from));
  const parts = decorators[0] === undefined ? [] : childrenOf(decorators[0]).slice(1);
  let decorator: Node | undefined;
  for (const part of parts) {
    const partAt = reader.original(part.from);
    if (part.name === 'VariableName') {
      const name = identifier(reader, part);
      decorator =
        decorator === undefined
          ? { kind: 'name', at: partAt, name }
          : { kind: 'attribute', at: partAt, object: decorator, name };
    } else if (part.name === 'ArgList' && decorator !== undefined) {
      decorator = { kind: 'call', at: partAt, callee: decorator, args: [] };
    }
  }
  return statement === undefined || decorator === undefined ? statement : { ...statement, decorator };
}

function readFunction(reader: Reader, children: readonly SyntaxNode[], at: number): FunctionStatement | undefined {
  const nameNode = children.find((child) => child.name === 'VariableName');
  const list = children.find((child) => child.name === 'ParamList');
  const body = children.find((child) => child.name === 'Body');
  const arrow = children.find((child) => child.name === 'TypeDef');
  const async = children.find((child) => child.name === 'async' || child.name === 'TypeParamList');
  if (arrow !== undefined)
    reader.diagnostics.report(
      'UNSUPPORTED_STATEMENT',
      reader.original(arrow.from),
      'functions have no return annotation in PxL',
      'leave out -> …',
    );
  if (async !== undefined)
    reader.diagnostics.report('UNSUPPORTED_STATEMENT', reader.original(async.from), `'${async.name}' is not supported`);
  if (nameNode === undefined || list === undefined || body === undefined) return undefined;
  const parts = childrenOf(body).filter((child) => child.name !== ':');
  const first = parts[0];
  // A body on the line of its `def` has no indentation of its own.
  const indent = first === undefined ? -1 : (indentOf(reader.text, first.from) ?? -1);
  return {
    kind: 'function',
    at,
    name: identifier(reader, nameNode),
    parameters: readParameters(reader, childrenOf(list)),
    body: readBlock(reader, parts, indent),
  };
}

function readParameters(reader: Reader, children: readonly SyntaxNode[]): Parameter[] {
  const parameters: Parameter[] = [];
  let wantsDefault = false;
  for (const child of children) {
    const at = reader.original(child.from);
    const last = parameters.at(-1);
    if (child.name === 'VariableName' && !wantsDefault) {
      const name = identifier(reader, child);
      if (parameters.some((parameter) => parameter.name === name)) {
        reader.diagnostics.report('SYNTAX_ERROR', at, `there are two parameters '${name}'`);
      }
      parameters.push({ name, at });
    } else if (child.name === '*' || child.name === '**' || child.name === '/') {
      reader.diagnostics.report('UNSUPPORTED_STATEMENT', at, `'${child.name}' parameters are not supported`);
    } else if (child.name === 'TypeDef' && last !== undefined) {
      parameters[parameters.length - 1] = { ...last, annotation: readTypeDef(reader, child) };
    } else if (child.name === 'AssignOp') {
      wantsDefault = true;
    } else if (wantsDefault && last !== undefined) {
      parameters[parameters.length - 1] = { ...last, default: readExpression(reader, child) };
      wantsDefault = false;
    }
  }
  return parameters;
}
