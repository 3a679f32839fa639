// A list given from outside as text: `['a', 'b']` as PxL writes it, or `a, b`, which is two strings. Its items are values,
// never code: strings, numbers and booleans, and nothing else is read.
import type { LiteralValue } from '../plan/expression.ts';
import type { DataType } from '../model/types.ts';
import { parseNumber, parseString } from './literals.ts';

export interface ListItem {
  readonly value: LiteralValue;
  readonly type: DataType;
}

const ITEMS_MAX = 1000;
const ITEM =
  /\s*(?:([rRuU]?(?:'(?:[^'\\\n]|\\[\s\S])*'|"(?:[^"\\\n]|\\[\s\S])*"))|([+-]?)([\d.][\w.]*(?:(?<=[eE])[+-]\d+)?)|(True|False))\s*(,|$)/y;

/** The items of a list; undefined where the text is none, or has more than a thousand. */
export function parseListArgument(text: string): readonly ListItem[] | undefined {
  const trimmed = text.trim();
  const bracketed = /^\[([\s\S]*)\]$/.exec(trimmed)?.[1];
  const items = bracketed === undefined ? plainItems(trimmed) : literalItems(bracketed.trimEnd());
  return items === undefined || items.length > ITEMS_MAX ? undefined : items;
}

const plainItems = (text: string): readonly ListItem[] | undefined =>
  text.startsWith('[') ? undefined : text.split(',').map((item) => ({ value: item.trim(), type: 'STRING' }));

function literalItems(text: string): readonly ListItem[] | undefined {
  const items: ListItem[] = [];
  ITEM.lastIndex = 0;
  while (ITEM.lastIndex < text.length) {
    const match = ITEM.exec(text);
    if (match === null) return undefined;
    const [, quoted, sign = '', number, boolean] = match;
    const item =
      quoted === undefined
        ? number === undefined
          ? ({ value: boolean === 'True', type: 'BOOLEAN' } as const)
          : numberItem(sign, number)
        : ({ value: parseString(quoted), type: 'STRING' } as const);
    if (item === undefined) return undefined;
    items.push(item);
  }
  return items;
}

function numberItem(sign: string, token: string): ListItem | undefined {
  const literal = parseNumber(token);
  if (literal.kind === 'invalid') return undefined;
  const isNegative = sign === '-';
  return literal.kind === 'int'
    ? { value: isNegative ? -literal.value : literal.value, type: 'INT64' }
    : { value: isNegative ? -literal.value : literal.value, type: 'FLOAT64' };
}
