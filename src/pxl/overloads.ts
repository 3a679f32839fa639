// Overloads by exact data types, and how semantic types pass through a function.
import type { DataType, SemanticType } from '../model/types.ts';
import type { FunctionSignature, Overload, SemanticRule } from '../plan/signature.ts';

interface Typed {
  readonly type: DataType;
  readonly semanticType: SemanticType;
}

/** The overload whose arguments have exactly these types. */
export function findOverload(signature: FunctionSignature, types: readonly DataType[]): Overload | undefined {
  return signature.overloads.find(
    (overload) => overload.args.length === types.length && overload.args.every((type, i) => type === types[i]),
  );
}

/** `add(INT64, INT64), add(STRING, STRING)`: what there is, for messages. */
export function listOverloads(signature: FunctionSignature): string {
  const shown = signature.overloads.slice(0, 8).map((overload) => `(${overload.args.join(', ')})`);
  return shown.join(', ') + (signature.overloads.length > 8 ? ', …' : '');
}

const wildcards = (rule: SemanticRule): number => rule.args.filter((arg) => arg === 'ST_NONE').length;

/** The semantic type of a result: of the matching rules the one with the fewest wildcards; ST_NONE where none matches. */
export function inferSemanticType(signature: FunctionSignature, args: readonly Typed[]): SemanticType {
  let best: SemanticRule | undefined;
  for (const rule of signature.semanticRules) {
    const fits =
      rule.args.length === args.length &&
      rule.args.every((wanted, i) => wanted === 'ST_NONE' || wanted === args[i]?.semanticType);
    if (fits && (best === undefined || wildcards(rule) < wildcards(best))) best = rule;
  }
  return best?.result ?? 'ST_NONE';
}
