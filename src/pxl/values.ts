// What names are bound to while a script is evaluated. Nothing here holds rows: a frame stands for an operator of the
// plan, a draft for a column expression that has not met a frame yet.
import type { FunctionStatement } from './ast.ts';
import type { TableDefinition } from '../model/catalogue.ts';
import type { TimeNs } from '../model/time.ts';
import type { FunctionSignature } from '../plan/signature.ts';
import type { Diagnostics } from './diagnostics.ts';
import type { Limits } from './limits.ts';
import type { DataType, SemanticType } from '../model/types.ts';
import type { LiteralValue } from '../plan/expression.ts';
import type { Operator, Sink } from '../plan/plan.ts';

export interface SessionOptions {
  readonly diagnostics: Diagnostics;
  readonly limits: Limits;
  readonly deadlineMs: number;
  readonly catalogue: ReadonlyMap<string, TableDefinition>;
  readonly signatures: ReadonlyMap<string, FunctionSignature>;
  /** The one "now" of this compilation. */
  readonly now: TimeNs;
  readonly window: { readonly start: TimeNs; readonly end: TimeNs } | undefined;
  readonly hasDefaultEndpoint: boolean;
  readonly forbidScriptEndpoint: boolean;
  /** False: `px.display` is inert, functions return the tables. */
  readonly showDisplays: boolean;
  readonly rowsMax: number;
}

export interface Session extends SessionOptions {
  readonly sinks: Sink[];
  /** What scripts assign on modules (`px.helper = …`). */
  readonly overlay: Map<string, Value>;
  steps: number;
  planNodes: number;
  callDepth: number;
}

/** A column expression by names: columns are looked up, and functions chosen, when it is attached to a frame. */
export type Draft = {
  readonly at: number;
  /** Nodes of the expression as a tree, and how deep it is. */
  readonly size: number;
  readonly depth: number;
} & (
  | LiteralDraft
  | { readonly kind: 'column'; readonly name: string; readonly frame: Frame }
  | { readonly kind: 'call'; readonly function: string; readonly args: readonly Draft[] }
  | { readonly kind: 'context'; readonly key: string }
  | { readonly kind: 'cast'; readonly to: TypeObject; readonly inner: Draft }
  /** Already reported; whatever contains it stays silent. */
  | { readonly kind: 'invalid' }
);

export interface LiteralDraft {
  readonly kind: 'literal';
  readonly value: LiteralValue;
  readonly type: DataType;
  readonly semanticType: SemanticType;
}

/** An immutable value; assigning a column makes another frame. */
export interface Frame {
  readonly operator: Operator;
  /** Columns whose expression was wrong, so that they are not reported again; `all` where the frame itself was. */
  readonly poisoned: ReadonlySet<string> | 'all';
  readonly parents: readonly Frame[];
  /** Operators below and with this one, as a tree. */
  readonly size: number;
}

export interface TypeObject {
  readonly kind: 'type';
  readonly name: string;
  /** Undefined: `list`, which is compared by kind. */
  readonly dataType: DataType | undefined;
  readonly semanticType: SemanticType;
  readonly wants?: 'collection';
}

export interface Bound {
  readonly value: Value;
  readonly at: number;
}

export interface BoundArguments {
  readonly get: (name: string) => Bound | undefined;
  /** Keyword arguments of a function that takes any (`agg`). */
  readonly extra: readonly (Bound & { readonly name: string })[];
}

export interface Builtin {
  readonly kind: 'builtin';
  readonly name: string;
  readonly parameters: readonly { readonly name: string; readonly required: boolean }[];
  /** Takes any further keywords. */
  readonly open?: boolean;
  /** `at` is the parenthesis of the call. Arguments that are required are there. */
  readonly run: (session: Session, args: BoundArguments, at: number) => Value;
}

export interface Module {
  readonly kind: 'module';
  readonly name: string;
  /** Undefined where there is no such member; it is then looked for among `names` for a suggestion. */
  readonly member: (session: Session, name: string, at: number) => Value | undefined;
  readonly names: (session: Session) => Iterable<string>;
}

export interface Scope {
  readonly values: Map<string, Value>;
  readonly parent: Scope | undefined;
}

export interface ScriptFunction {
  readonly kind: 'function';
  readonly statement: FunctionStatement;
  readonly scope: Scope;
  readonly defaults: ReadonlyMap<string, Value>;
  readonly annotations: ReadonlyMap<string, Value>;
}

export type EntryKind = 'Gauge' | 'Summary' | 'Sum' | 'Histogram' | 'Span';

/** `px.otel.metric.Gauge(…)` and its like: arguments as given, checked when they are exported. */
export interface OtelEntry {
  readonly kind: 'otel-entry';
  readonly entry: EntryKind;
  readonly args: BoundArguments;
  readonly at: number;
}

export interface OtelEndpoint {
  readonly kind: 'otel-endpoint';
  readonly args: BoundArguments;
  readonly at: number;
}

export interface OtelData {
  readonly kind: 'otel-data';
  readonly args: BoundArguments;
  readonly at: number;
}

export type Collection = { readonly kind: 'list' | 'tuple'; readonly items: readonly Bound[] };
export type Dict = {
  readonly kind: 'dict';
  readonly entries: readonly { readonly key: Bound; readonly value: Bound }[];
};

export type Value =
  | { readonly kind: 'expression'; readonly draft: Draft }
  | { readonly kind: 'frame'; readonly frame: Frame }
  /** `df.groupby(…)` before `.agg(…)`. */
  | {
      readonly kind: 'grouped';
      readonly frame: Frame;
      readonly keys: readonly { readonly name: string; readonly at: number }[];
    }
  /** `df.ctx` */
  | { readonly kind: 'context' }
  | { readonly kind: 'registered'; readonly name: string }
  /** An aggregate with initialisation values: `px.bucket_counts([…])`. */
  | { readonly kind: 'aggregate'; readonly name: string; readonly literals: readonly LiteralValue[] }
  | { readonly kind: 'none' }
  | { readonly kind: 'invalid' }
  | Builtin
  | Module
  | ScriptFunction
  | TypeObject
  | Collection
  | Dict
  | OtelEntry
  | OtelEndpoint
  | OtelData;

export const INVALID: Value = { kind: 'invalid' };
export const NONE: Value = { kind: 'none' };

export const expression = (draft: Draft): Value => ({ kind: 'expression', draft });

export const literal = (
  value: LiteralValue,
  type: DataType,
  at: number,
  semanticType: SemanticType = 'ST_NONE',
): Draft => ({
  kind: 'literal',
  value,
  type,
  semanticType,
  at,
  size: 1,
  depth: 1,
});

/** What a value is called in messages. */
export function describe(value: Value): string {
  switch (value.kind) {
    case 'expression':
      return describeDraft(value.draft);
    case 'frame':
      return 'a DataFrame';
    case 'grouped':
      return 'a groupby without agg';
    case 'context':
      return 'df.ctx';
    case 'registered':
      return `the function px.${value.name}`;
    case 'aggregate':
      return `the aggregate px.${value.name}(…)`;
    case 'builtin':
      return `the function ${value.name}`;
    case 'function':
      return `the function ${value.statement.name}`;
    case 'module':
      return `the module ${value.name}`;
    case 'type':
      return `the type ${value.name}`;
    case 'otel-entry':
      return `px.otel ${value.entry}`;
    case 'otel-endpoint':
      return 'px.otel.Endpoint';
    case 'otel-data':
      return 'px.otel.Data';
    case 'none':
      return 'None';
    case 'list':
    case 'tuple':
    case 'dict':
      return `a ${value.kind}`;
    case 'invalid':
      return 'something invalid';
  }
}

export function describeDraft(draft: Draft): string {
  switch (draft.kind) {
    case 'literal':
      return `a ${draft.type} literal`;
    case 'column':
      return `the column '${draft.name}'`;
    case 'call':
    case 'context':
    case 'cast':
    case 'invalid':
      return 'an expression';
  }
}
