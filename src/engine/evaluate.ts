// Column expressions to functions over batches. Calls whose arguments are all literals are computed once; equal
// sub-expressions of one operator are computed once per batch.
import type { Batch, Column } from '../columns/column.ts';
import { dictionaryFrom } from '../columns/dictionary.ts';
import { sliceColumn } from '../columns/select.ts';
import type { DataType, Schema } from '../model/types.ts';
import type { Expression, LiteralValue } from '../plan/expression.ts';
import { EngineError, type ExecutionContext } from './context.ts';
import { implementationOf } from './functions/implementations.ts';
import { markConstant } from './functions/kernel.ts';

/** Gives the expression's value for each row of the batch. */
export type Evaluator = (batch: Batch) => Column;

/** Compiles expressions over one input schema; share it between the expressions of one operator. */
export function createCompiler(schema: Schema, context: ExecutionContext): (expression: Expression) => Evaluator {
  const compiled = new Map<string, Evaluator>();

  function compile(expression: Expression): Evaluator {
    const key = keyOf(expression);
    const known = compiled.get(key);
    if (known !== undefined) return known;
    const evaluator = build(expression);
    compiled.set(key, evaluator);
    return evaluator;
  }

  function build(expression: Expression): Evaluator {
    if (expression.kind === 'column') return columnReader(schema, expression.name, expression.type);
    if (expression.kind === 'literal') return constant(literalColumn(expression.value, expression.type));
    const literals = expression.args.map((arg) => (arg.kind === 'literal' ? arg.value : undefined));
    const implementation = implementationOf(
      expression.function,
      expression.args.map((arg) => arg.type),
    );
    const kernel = implementation({ literals, context });
    const args = expression.args.map(compile);
    if (expression.args.every((arg) => arg.kind === 'literal')) {
      const one: Batch = { schema: [], columns: [], length: 1 };
      return constant(
        kernel(
          args.map((arg) => arg(one)),
          1,
        ),
      );
    }
    return oncePerBatch((batch) =>
      kernel(
        args.map((arg) => arg(batch)),
        batch.length,
      ),
    );
  }

  return compile;
}

const keyOf = (expression: Expression): string =>
  JSON.stringify(expression, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));

/** Position of a column in a schema, checked for its type. */
export function columnIndex(schema: Schema, name: string, type?: DataType): number {
  const index = schema.findIndex((field) => field.name === name);
  const field = schema[index];
  if (field === undefined) {
    throw new EngineError(
      'UNKNOWN_COLUMN',
      `the plan reads column "${name}", its input has ${schema.map((f) => f.name).join(', ')}`,
    );
  }
  if (type !== undefined && field.type !== type) {
    throw new EngineError(
      'COLUMN_TYPE',
      `the plan reads column "${name}" as ${type}, its input has it as ${field.type}`,
    );
  }
  return index;
}

export function columnOf(batch: Batch, index: number): Column {
  const column = batch.columns[index];
  if (column === undefined)
    throw new Error(`a batch with ${batch.columns.length} columns is asked for column ${index}`);
  return column;
}

function columnReader(schema: Schema, name: string, type: DataType): Evaluator {
  const index = columnIndex(schema, name, type);
  return (batch) => columnOf(batch, index);
}

function oncePerBatch(evaluate: Evaluator): Evaluator {
  let last: { readonly batch: Batch; readonly column: Column } | undefined;
  return (batch) => {
    if (last?.batch !== batch) last = { batch, column: evaluate(batch) };
    return last.column;
  };
}

/** `one` has a single row, which is repeated for every row of the batch. */
function constant(one: Column): Evaluator {
  let repeated = one;
  return ({ length }) => {
    if (repeated.length < length) repeated = repeat(one, length);
    return markConstant(sliceColumn(repeated, 0, length));
  };
}

function repeat(one: Column, length: number): Column {
  switch (one.type) {
    case 'BOOLEAN':
      return { type: 'BOOLEAN', length, values: new Uint8Array(length).fill(one.values[0] ?? 0) };
    case 'FLOAT64':
      return { type: 'FLOAT64', length, values: new Float64Array(length).fill(one.values[0] ?? 0) };
    case 'INT64':
    case 'TIME64NS':
      return { type: one.type, length, values: new BigInt64Array(length).fill(one.values[0] ?? 0n) };
    case 'UINT128': {
      const values = new BigUint64Array(length * 2);
      for (let i = 0; i < values.length; i++) values[i] = one.values[i % 2] ?? 0n;
      return { type: 'UINT128', length, values };
    }
    case 'STRING':
      return {
        type: 'STRING',
        length,
        codes: new Int32Array(length).fill(one.codes?.[0] ?? 0),
        dictionary: one.dictionary,
      };
  }
}

/** A literal as a column of one row. */
function literalColumn(value: LiteralValue, type: DataType): Column {
  switch (type) {
    case 'BOOLEAN':
      return { type, length: 1, values: Uint8Array.of(value === true ? 1 : 0) };
    case 'FLOAT64':
      return { type, length: 1, values: Float64Array.of(Number(value)) };
    case 'INT64':
    case 'TIME64NS':
      return { type, length: 1, values: BigInt64Array.of(typeof value === 'object' ? value.low : BigInt(value)) };
    case 'STRING':
      return {
        type,
        length: 1,
        codes: new Int32Array(1),
        dictionary: dictionaryFrom([typeof value === 'string' ? value : '']),
      };
    case 'UINT128': {
      const { high, low } = typeof value === 'object' ? value : { high: 0n, low: 0n };
      return { type, length: 1, values: BigUint64Array.of(high, low) };
    }
  }
}
