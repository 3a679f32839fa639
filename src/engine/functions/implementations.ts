// Every scalar function that this build implements, by name and argument types.
import type { DataType } from '../../model/types.ts';
import { EngineError } from '../context.ts';
import { ARITHMETIC } from './arithmetic.ts';
import { CODE_NAMES } from './code-names.ts';
import type { Implementation, Implementations } from './kernel.ts';
import { LOGIC } from './logic.ts';
import { METADATA } from './metadata.ts';
import { REGULAR_EXPRESSIONS } from './regex.ts';
import { STRINGS } from './strings.ts';
import { URIS } from './uri.ts';

const LETTERS: Readonly<Record<DataType, string>> = {
  BOOLEAN: 'B',
  INT64: 'I',
  UINT128: 'U',
  FLOAT64: 'F',
  STRING: 'S',
  TIME64NS: 'T',
};

export const IMPLEMENTATIONS: ReadonlyMap<string, Implementation> = new Map(
  [ARITHMETIC, LOGIC, STRINGS, REGULAR_EXPRESSIONS, URIS, CODE_NAMES, METADATA].flatMap((family: Implementations) =>
    Object.entries(family),
  ),
);

export const implementationKey = (name: string, args: readonly DataType[]): string =>
  `${name}:${args.map((type) => LETTERS[type]).join('')}`;

export function implementationOf(name: string, args: readonly DataType[]): Implementation {
  const implementation = IMPLEMENTATIONS.get(implementationKey(name, args));
  if (implementation === undefined) {
    throw new EngineError(
      'UNKNOWN_FUNCTION',
      `px.${name}(${args.join(', ')}) is not in this build; update the nodes and the runtime together`,
    );
  }
  return implementation;
}
