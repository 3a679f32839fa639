// Arguments given from outside as text, converted by the type that the script annotates. A text is a value,
// never code: nothing of it is parsed as PxL.
import type { LiteralValue } from '../plan/expression.ts';
import type { Diagnostics } from './diagnostics.ts';
import { OUTSIDE } from './diagnostics.ts';
import { parseListArgument } from './list-argument.ts';
import { didYouMean } from './suggest.ts';
import { fitsInt64 } from './times.ts';
import { INVALID, type TypeObject, type Value, expression, literal } from './values.ts';

export interface ScriptArguments {
  /** The value given for `name`, as `annotation` says (text where there is none); undefined where none was given. */
  take(name: string, annotation: Value | undefined): Value | undefined;
  /** Reports arguments that nothing has taken. */
  reportUnused(known: Iterable<string>): void;
}

const TRUE = new Set(['true', 't', 'yes', 'y', '1']);
const FALSE = new Set(['false', 'f', 'no', 'n', '0']);

function integer(text: string): bigint | undefined {
  const trimmed = text.trim();
  if (!/^[+-]?\d{1,19}$/.test(trimmed)) return undefined;
  const value = BigInt(trimmed.replace(/^\+/, ''));
  return fitsInt64(value) ? value : undefined;
}

function float(text: string): number | undefined {
  const trimmed = text.trim();
  return /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(trimmed) ? Number(trimmed) : undefined;
}

function converted(text: string, type: TypeObject): LiteralValue | undefined {
  switch (type.dataType) {
    case 'STRING':
      return text;
    case 'INT64':
    case 'TIME64NS':
      return integer(text);
    case 'FLOAT64':
      return float(text);
    case 'BOOLEAN': {
      const lower = text.trim().toLowerCase();
      return TRUE.has(lower) ? true : FALSE.has(lower) ? false : undefined;
    }
    case 'UINT128':
    case undefined:
      return undefined;
  }
}

/** Converts `text` to the type of `annotation`; wrong text is reported at line 0. */
export function convertArgument(diagnostics: Diagnostics, name: string, text: string, annotation: Value): Value {
  if (annotation.kind === 'invalid') return INVALID;
  if (annotation.kind === 'type' && annotation.wants === 'collection') {
    const items = parseListArgument(text);
    if (items !== undefined) {
      const values = items.map(({ value, type }) => ({
        value: expression(literal(value, type, OUTSIDE)),
        at: OUTSIDE,
      }));
      return { kind: 'list', items: values };
    }
    reportValue(diagnostics, name, text, "list: write ['a', 'b'], or a,b");
    return INVALID;
  }
  if (annotation.kind !== 'type' || annotation.dataType === undefined || annotation.dataType === 'UINT128') {
    const what = annotation.kind === 'type' ? annotation.name : 'that kind';
    diagnostics.report('ARGUMENT_KIND', OUTSIDE, `argument '${name}': values of ${what} cannot be given from outside`);
    return INVALID;
  }
  const value = converted(text, annotation);
  if (value !== undefined) return expression(literal(value, annotation.dataType, OUTSIDE));
  reportValue(diagnostics, name, text, annotation.dataType);
  return INVALID;
}

const reportValue = (diagnostics: Diagnostics, name: string, text: string, wanted: string): void =>
  diagnostics.report('ARGUMENT_VALUE', OUTSIDE, `argument '${name}': '${text.slice(0, 60)}' is no ${wanted}`);

export function scriptArguments(diagnostics: Diagnostics, given: Readonly<Record<string, string>>): ScriptArguments {
  const texts = new Map(Object.entries(given));
  const taken = new Set<string>();
  return {
    take(name, annotation) {
      const text = texts.get(name);
      if (text === undefined) return undefined;
      taken.add(name);
      if (annotation === undefined) return expression(literal(text, 'STRING', OUTSIDE));
      return convertArgument(diagnostics, name, text, annotation);
    },
    reportUnused(known) {
      const names = [...known];
      for (const name of texts.keys()) {
        if (taken.has(name)) continue;
        const hint = didYouMean(name, names) ?? `declare it in the script: ${name}: str = ''`;
        diagnostics.report('UNKNOWN_ARGUMENT', OUTSIDE, `the script reads no argument '${name}'`, hint);
      }
    },
  };
}
