// Every function that PxL names, by name. Compiler, engine and documentation read this one table.
import type { FunctionSignature } from '../signature.ts';
import { AGGREGATES } from './aggregates.ts';
import { ARITHMETIC } from './arithmetic.ts';
import { ENVIRONMENT, OBJECTS, PODS, SERVICES, UPIDS } from './metadata.ts';
import { CODE_NAMES, NETWORK } from './network.ts';
import { JSON_FUNCTIONS, REGULAR_EXPRESSIONS, STRINGS } from './strings.ts';
import { TEXT_ANALYSIS, URIS } from './uri.ts';

function byName(families: readonly (readonly FunctionSignature[])[]): ReadonlyMap<string, FunctionSignature> {
  const signatures = new Map<string, FunctionSignature>();
  for (const signature of families.flat()) {
    if (signatures.has(signature.name)) throw new Error(`function ${signature.name} is listed twice`);
    signatures.set(signature.name, signature);
  }
  return signatures;
}

/** A name is a scalar function or an aggregate, never both. */
export const SIGNATURES: ReadonlyMap<string, FunctionSignature> = byName([
  ARITHMETIC,
  STRINGS,
  JSON_FUNCTIONS,
  REGULAR_EXPRESSIONS,
  URIS,
  TEXT_ANALYSIS,
  NETWORK,
  CODE_NAMES,
  UPIDS,
  PODS,
  SERVICES,
  OBJECTS,
  ENVIRONMENT,
  AGGREGATES,
]);
