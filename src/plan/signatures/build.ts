// Builders for the signature tables: overloads in the letters of the PxL reference, semantic rules for common shapes.
import { SEMANTIC_TYPE_IDS, type DataType, type SemanticType } from '../../model/types.ts';
import type { FunctionSignature, Overload, SemanticRule } from '../signature.ts';

const TYPE_OF_LETTER: Readonly<Record<string, DataType>> = {
  B: 'BOOLEAN',
  I: 'INT64',
  U: 'UINT128',
  F: 'FLOAT64',
  S: 'STRING',
  T: 'TIME64NS',
};

function typeOf(letter: string): DataType {
  const type = TYPE_OF_LETTER[letter];
  if (type === undefined) throw new Error(`no data type has the letter "${letter}"`);
  return type;
}

/** `II>I` is (INT64, INT64) -> INT64; `>I` takes no arguments; `!S` marks an argument that must be a literal. */
function overloadOf(text: string): Overload {
  const [args = '', result = ''] = text.split('>');
  const literals = args.split('!').length - 1;
  const types = args.replaceAll('!', '').split('').map(typeOf);
  return { args: types, result: typeOf(result), ...(literals > 0 && { literals }) };
}

export interface SignatureOptions {
  readonly rules?: readonly SemanticRule[];
  readonly available?: boolean;
  readonly implicitColumns?: FunctionSignature['implicitColumns'];
}

function signature(
  kind: 'scalar' | 'aggregate',
  name: string,
  overloads: string,
  description: string,
  { rules = [], available = true, implicitColumns }: SignatureOptions,
): FunctionSignature {
  const parsed = overloads.split(' ').map(overloadOf);
  const implicit = implicitColumns === undefined ? {} : { implicitColumns };
  return { name, kind, overloads: parsed, semanticRules: rules, description, available, ...implicit };
}

export const scalar = (
  name: string,
  overloads: string,
  description: string,
  options: SignatureOptions = {},
): FunctionSignature => signature('scalar', name, overloads, description, options);

export const aggregate = (
  name: string,
  overloads: string,
  description: string,
  options: SignatureOptions = {},
): FunctionSignature => signature('aggregate', name, overloads, description, options);

/** Known to the language, but not in this build. */
export const unavailable = (name: string, overloads: string, description: string): FunctionSignature =>
  signature('scalar', name, overloads, description, { available: false });

/** Every semantic type that says something. */
export const ALL_SEMANTIC_TYPES: readonly SemanticType[] = Object.keys(SEMANTIC_TYPE_IDS)
  .filter((name): name is SemanticType => name in SEMANTIC_TYPE_IDS)
  .filter((type) => type !== 'ST_UNSPECIFIED' && type !== 'ST_NONE');

/** One rule per type of `types`: where the last `agreeing` of `arity` arguments have it, so has the result. */
export const inherited = (types: readonly SemanticType[], arity = 1, agreeing = arity): readonly SemanticRule[] =>
  types.map((type) => ({
    args: Array.from({ length: arity }, (_, i) => (i >= arity - agreeing ? type : 'ST_NONE')),
    result: type,
  }));

/** The result has `type` whatever the arguments, one rule for each number of arguments. */
export const always = (type: SemanticType, ...arities: readonly number[]): readonly SemanticRule[] =>
  (arities.length === 0 ? [1] : arities).map((arity) => ({
    args: Array.from({ length: arity }, (): SemanticType => 'ST_NONE'),
    result: type,
  }));
