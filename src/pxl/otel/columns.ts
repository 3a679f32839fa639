// Columns, literals and attributes of an export, checked against the exported frame. `path` is where in the call the
// argument stands (`data[1].attributes['x']`); every message names it.
import type { DataType, Field } from '../../model/types.ts';
import type { ExportAttribute, ExportValue } from '../../plan/plan.ts';
import { isNone } from '../call.ts';
import type { Code } from '../codes.ts';
import { type Bound, describe, type Draft, type Frame, type Session } from '../values.ts';
import { didYouMean } from '../suggest.ts';
import { isInvalid } from '../wants.ts';

export interface Exported {
  readonly session: Session;
  readonly frame: Frame;
}

/** What a column argument must be, and the code where it is not. */
export interface Wanted {
  readonly types: readonly DataType[];
  readonly code: Code;
  readonly hint?: string;
}

const PLAIN = 'compute it into a column first: df.x = …, then pass df.x';

/** The field of a plain column reference. Undefined where it is none, missing, or of a wrong type; then reported. */
export function wantColumn({ session, frame }: Exported, arg: Bound, path: string, wanted: Wanted): Field | undefined {
  const { value } = arg;
  const { diagnostics } = session;
  if (value.kind !== 'expression' || value.draft.kind !== 'column') {
    if (!isInvalid(value))
      diagnostics.report('OTEL_ARG_KIND', arg.at, `${path} must be a column, not ${describe(value)}`, PLAIN);
    return undefined;
  }
  const { name, at, frame: from } = value.draft;
  const field = frame.operator.schema.find((candidate) => candidate.name === name);
  if (field === undefined) {
    if (frame.poisoned === 'all' || frame.poisoned.has(name)) return undefined;
    const names = frame.operator.schema.map((candidate) => candidate.name);
    diagnostics.report(
      'OTEL_NO_COLUMN',
      at,
      `${path}: the exported frame has no column '${name}'`,
      didYouMean(name, names) ?? `it has ${names.slice(0, 12).join(', ')}`,
    );
    return undefined;
  }
  if (from !== frame && !isAncestor(from, frame) && !isAncestor(frame, from)) {
    diagnostics.report(
      'OTEL_FOREIGN_COLUMN',
      at,
      `${path}: '${name}' was read from another frame; the '${name}' of the exported frame is sent`,
      'read it from the frame that is exported',
    );
  }
  if (wanted.types.includes(field.type)) return field;
  diagnostics.report(
    wanted.code,
    at,
    `${path}: column '${name}' is ${field.type}, wanted ${wanted.types.join(' or ')}`,
    wanted.hint,
  );
  return undefined;
}

function isAncestor(ancestor: Frame, frame: Frame): boolean {
  const seen = new Set<Frame>();
  const waiting = [frame];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (next === ancestor) return true;
    if (seen.has(next)) continue;
    seen.add(next);
    waiting.push(...next.parents);
  }
  return false;
}

/** An optional column argument; `None` is as good as none. */
export function optionalColumn(
  exported: Exported,
  arg: Bound | undefined,
  path: string,
  wanted: Wanted,
): Field | undefined {
  return arg === undefined || isNone(arg.value) ? undefined : wantColumn(exported, arg, path, wanted);
}

const literalOf = (draft: Draft): ExportValue | undefined => {
  if (
    draft.kind !== 'literal' ||
    draft.type === 'TIME64NS' ||
    draft.type === 'UINT128' ||
    typeof draft.value === 'object'
  )
    return undefined;
  return { kind: 'literal', value: draft.value };
};

const ATTRIBUTE_TYPES: readonly DataType[] = ['STRING', 'INT64', 'FLOAT64', 'BOOLEAN'];

export interface CheckedAttribute extends ExportAttribute {
  /** Of a column; undefined for literals. */
  readonly field: Field | undefined;
}

/** Attributes from a dict of literals or columns. Wrong entries are reported and left out. */
export function readAttributes(
  exported: Exported,
  arg: Bound | undefined,
  path: string,
  notDict: Code,
): readonly CheckedAttribute[] {
  const { diagnostics } = exported.session;
  if (arg === undefined) return [];
  if (arg.value.kind !== 'dict') {
    if (!isInvalid(arg.value))
      diagnostics.report(
        notDict,
        arg.at,
        `${path} must be a dict, not ${describe(arg.value)}`,
        "write {'key': df.column}",
      );
    return [];
  }
  const attributes: CheckedAttribute[] = [];
  for (const entry of arg.value.entries) {
    const key = entry.key.value;
    if (key.kind !== 'expression' || key.draft.kind !== 'literal' || typeof key.draft.value !== 'string') {
      if (!isInvalid(key))
        diagnostics.report(
          'OTEL_ARG_KIND',
          entry.key.at,
          `a key of ${path} must be a string literal, not ${describe(key)}`,
        );
      continue;
    }
    const name = key.draft.value;
    if (name === '')
      diagnostics.report('OTEL_ATTR_KEY_EMPTY', entry.key.at, `${path} has an empty key`, 'give the attribute a name');
    else if (attributes.some((attribute) => attribute.key === name)) {
      diagnostics.report(
        'OTEL_ATTR_KEY_DUP',
        entry.key.at,
        `${path} has the key '${name}' twice`,
        'attribute keys must be unique; remove one',
      );
    } else {
      const attribute = readValue(exported, entry.value, `${path}['${name}']`);
      if (attribute !== undefined) attributes.push({ key: name, ...attribute });
    }
  }
  return attributes;
}

function readValue(exported: Exported, arg: Bound, path: string): Omit<CheckedAttribute, 'key'> | undefined {
  const { value } = arg;
  const constant = value.kind === 'expression' ? literalOf(value.draft) : undefined;
  if (constant !== undefined) return { value: constant, field: undefined };
  if (value.kind !== 'expression' || value.draft.kind !== 'column') {
    if (!isInvalid(value))
      exported.session.diagnostics.report(
        'OTEL_ATTR_VALUE',
        arg.at,
        `${path} must be a column or a literal, not ${describe(value)}`,
        PLAIN,
      );
    return undefined;
  }
  const field = wantColumn(exported, arg, path, {
    types: ATTRIBUTE_TYPES,
    code: 'OTEL_ATTR_TYPE',
    hint: 'convert it, e.g. px.upid_to_string(df.upid) or px.time_to_int64(df.time_)',
  });
  return field === undefined ? undefined : { value: { kind: 'column', column: field.name }, field };
}

/** The plan's form of checked attributes. */
export const plainAttributes = (attributes: readonly CheckedAttribute[]): readonly ExportAttribute[] =>
  attributes.map(({ key, value }) => ({ key, value }));

/** A literal of `type`, or a column of `types`. */
export function wantValue(exported: Exported, arg: Bound, path: string, wanted: Wanted): ExportValue | undefined {
  const { value } = arg;
  if (value.kind === 'expression' && value.draft.kind === 'literal') {
    const constant = literalOf(value.draft);
    if (constant !== undefined && wanted.types.includes(value.draft.type)) return constant;
    exported.session.diagnostics.report(
      wanted.code,
      arg.at,
      `${path} must be ${wanted.types.join(' or ')}, not ${describe(value)}`,
      wanted.hint,
    );
    return undefined;
  }
  if (!isInvalid(value) && (value.kind !== 'expression' || value.draft.kind !== 'column')) {
    exported.session.diagnostics.report(
      wanted.code,
      arg.at,
      `${path} must be a literal or a column, not ${describe(value)}`,
      PLAIN,
    );
    return undefined;
  }
  const field = wantColumn(exported, arg, path, wanted);
  return field === undefined ? undefined : { kind: 'column', column: field.name };
}
