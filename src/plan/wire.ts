// The JSON form of expressions and literals: what JSON has no type for is tagged, so that nothing depends on guessing.
import type { DataType, SemanticType } from '../model/types.ts';
import type { AggregateExpression, Expression, LiteralValue } from './expression.ts';
import type { ExportAttribute, ExportValue } from './plan.ts';

/** 64-bit integers and UINT128 words are decimal text; floats that JSON lacks have names. */
export type WireLiteral =
  | string
  | boolean
  | { readonly int: string }
  | { readonly float: number | string }
  | { readonly high: string; readonly low: string };

interface WireTyped {
  readonly type: DataType;
  readonly semanticType: SemanticType;
}

export type WireExpression = WireTyped &
  (
    | { readonly kind: 'column'; readonly name: string }
    | { readonly kind: 'literal'; readonly value: WireLiteral }
    | { readonly kind: 'call'; readonly function: string; readonly args: readonly WireExpression[] }
  );

export type WireAggregate = Omit<AggregateExpression, 'args' | 'literals'> & {
  readonly args: readonly WireExpression[];
  readonly literals: readonly WireLiteral[];
};

export type WireValue =
  { readonly kind: 'column'; readonly column: string } | { readonly kind: 'literal'; readonly value: WireLiteral };
export type WireAttribute = { readonly key: string; readonly value: WireValue };

export function encodeLiteral(value: LiteralValue): WireLiteral {
  if (typeof value === 'bigint') return { int: String(value) };
  if (typeof value === 'object') return { high: String(value.high), low: String(value.low) };
  if (typeof value !== 'number') return value;
  if (Object.is(value, -0)) return { float: '-0' };
  return { float: Number.isFinite(value) ? value : String(value) };
}

export function decodeLiteral(value: WireLiteral): LiteralValue {
  if (typeof value !== 'object') return value;
  if ('int' in value) return BigInt(value.int);
  if ('float' in value) return Number(value.float);
  return { high: BigInt(value.high), low: BigInt(value.low) };
}

export function encodeExpression(expression: Expression): WireExpression {
  if (expression.kind === 'column') return expression;
  if (expression.kind === 'call') return { ...expression, args: expression.args.map(encodeExpression) };
  return { ...expression, value: encodeLiteral(expression.value) };
}

export function decodeExpression(expression: WireExpression): Expression {
  if (expression.kind === 'column') return expression;
  if (expression.kind === 'call') return { ...expression, args: expression.args.map(decodeExpression) };
  return { ...expression, value: decodeLiteral(expression.value) };
}

export const encodeAggregate = (aggregate: AggregateExpression): WireAggregate => ({
  ...aggregate,
  args: aggregate.args.map(encodeExpression),
  literals: aggregate.literals.map(encodeLiteral),
});

export const decodeAggregate = (aggregate: WireAggregate): AggregateExpression => ({
  ...aggregate,
  args: aggregate.args.map(decodeExpression),
  literals: aggregate.literals.map(decodeLiteral),
});

export const encodeValue = (value: ExportValue): WireValue =>
  value.kind === 'column' ? value : { kind: 'literal', value: encodeLiteral(value.value) };

export function decodeValue(value: WireValue): ExportValue {
  if (value.kind === 'column') return value;
  const literal = decodeLiteral(value.value);
  // An attribute has no 128-bit form; its text is the nearest thing.
  return { kind: 'literal', value: typeof literal === 'object' ? `${literal.high}:${literal.low}` : literal };
}

export const encodeAttributes = (attributes: readonly ExportAttribute[]): readonly WireAttribute[] =>
  attributes.map(({ key, value }) => ({ key, value: encodeValue(value) }));

export const decodeAttributes = (attributes: readonly WireAttribute[]): readonly ExportAttribute[] =>
  attributes.map(({ key, value }) => ({ key, value: decodeValue(value) }));
