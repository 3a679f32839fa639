// What a question may see: everything (`*`), or one namespace of the cluster. The filter sits below the plan, at the tables
// themselves, so no script can get round it; what belongs to others leaves no trace in what is read, dictionaries and
// counters included. Rows of the host's own processes, and of pods that nobody has told us of, belong to no namespace.
import type { Batch, Column, StringColumn } from '../columns/column.ts';
import { dictionaryOf } from '../columns/dictionary.ts';
import { indicesOf, takeColumn } from '../columns/select.ts';
import type { TableReader } from '../engine/context.ts';
import { tableNamed } from '../model/catalogue.ts';
import type { IdentityLookup, ProcessIdentity } from '../model/identity.ts';
import type { Uint128 } from '../model/types.ts';
import { inputsOf } from '../plan/inputs.ts';
import type { Operator } from '../plan/plan.ts';

/** Thrown at a scope that this collector cannot keep rows to. */
export class ScopeError extends Error {
  override readonly name = 'ScopeError';
}

/** Who owns what; `Processes` is one. */
export interface Owners extends IdentityLookup {
  isPod(identity: ProcessIdentity): boolean;
  isInUnknownPod(upid: Uint128): boolean;
}

/** A namespace's name: RFC 1123 label. */
const NAMESPACE = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

const upidColumnOf = (table: string): string | undefined =>
  tableNamed(table)?.columns.find(({ semanticType }) => semanticType === 'ST_UPID')?.name;

function* sourcesOf(operator: Operator): Generator<string> {
  if (operator.kind === 'source') yield operator.table;
  for (const input of inputsOf(operator)) yield* sourcesOf(input);
}

/**
 * The scope, if `fragment` may be run in it. Throws ScopeError where it is neither `*` nor the name of a namespace, or where
 * a table has no process in its rows and so cannot be split by namespace.
 */
export function checkScope(scope: string, fragment: Operator): string {
  if (scope === '*') return scope;
  if (!NAMESPACE.test(scope)) throw new ScopeError(`"${scope.slice(0, 64)}" is no scope: a namespace, or "*"`);
  for (const table of sourcesOf(fragment)) {
    if (upidColumnOf(table) !== undefined) continue;
    throw new ScopeError(
      `table ${table} is not split by namespace: it can be read in scope "*" only, not in "${scope}"`,
    );
  }
  return scope;
}

/** Names of what belongs to `namespace`; of nothing else. */
export function scopedIdentity(namespace: string, owners: Owners): IdentityLookup {
  const own = (identity: ProcessIdentity | undefined): ProcessIdentity | undefined =>
    identity !== undefined && identity.namespace === namespace && owners.isPod(identity) ? identity : undefined;
  const ownService = <S extends { readonly name: string }>(service: S | undefined): S | undefined =>
    service?.name.startsWith(`${namespace}/`) === true ? service : undefined;
  return {
    process: (upid) => own(owners.process(upid)),
    podByIp: (address) => own(owners.podByIp(address)),
    podByName: (name) => own(owners.podByName(name)),
    podById: (id) => own(owners.podById(id)),
    serviceByIp: (address) => ownService(owners.serviceByIp?.(address)),
    serviceById: (id) => ownService(owners.serviceById?.(id)),
    serviceByName: (name) => ownService(owners.serviceByName?.(name)),
  };
}

/**
 * `tables` with the rows of pods in `namespace` only. `onUnknown` hears how many rows were left out because their pod is not
 * known. Throws ScopeError for a table whose rows name no process.
 */
export function scopedTables(
  tables: TableReader,
  namespace: string,
  owners: Owners,
  onUnknown: (rows: number) => void,
): TableReader {
  const scoped = scopedIdentity(namespace, owners);
  const judge = (upid: Uint128): Verdict =>
    scoped.process(upid) !== undefined ? 'own' : owners.isInUnknownPod(upid) ? 'unknown' : 'foreign';
  return {
    *snapshot(table, options) {
      const upid = upidColumnOf(table);
      if (upid === undefined) throw new ScopeError(`table ${table} is not split by namespace`);
      const asked = options.columns.indexOf(upid);
      const columns = asked < 0 ? [...options.columns, upid] : options.columns;
      const at = asked < 0 ? columns.length - 1 : asked;
      for (const batch of tables.snapshot(table, { ...options, columns })) {
        const own = ownRows(batch, at, judge, onUnknown);
        // An empty batch would tell that there were others' rows.
        if (own.length > 0) yield pick(batch, own, options.columns.length);
      }
    },
  };
}

type Verdict = 'own' | 'unknown' | 'foreign';

interface Judged {
  readonly asid: number;
  readonly ticksLow: number;
  readonly ticksHigh: number;
  readonly verdict: Verdict;
  readonly next: Judged | undefined;
}

/** Rows whose process is judged `own`; each distinct UPID of the batch is looked up once. */
function ownRows(
  batch: Batch,
  at: number,
  judge: (upid: Uint128) => Verdict,
  onUnknown: (rows: number) => void,
): Int32Array {
  const column = batch.columns[at];
  if (column?.type !== 'UINT128') throw new ScopeError(`column ${batch.schema[at]?.name ?? '?'} holds no UPIDs`);
  const { values, length } = column;
  // Two words of 32 bits for each of 64, the lower first: numbers, so that the loop makes no bigint.
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
  const byPid = new Map<number, Judged>();
  const mask = new Uint8Array(length);
  let unknown = 0;
  let last: Judged | undefined;
  let lastPid = -1;
  for (let i = 0; i < length; i += 1) {
    const pid = words[4 * i] ?? 0;
    const asid = words[4 * i + 1] ?? 0;
    const ticksLow = words[4 * i + 2] ?? 0;
    const ticksHigh = words[4 * i + 3] ?? 0;
    const isSame = (one: Judged): boolean =>
      one.ticksLow === ticksLow && one.ticksHigh === ticksHigh && one.asid === asid;
    let judged = pid === lastPid && last !== undefined && isSame(last) ? last : undefined;
    if (judged === undefined) {
      const first = byPid.get(pid);
      judged = first;
      while (judged !== undefined && !isSame(judged)) judged = judged.next;
      if (judged === undefined) {
        const verdict = judge({ high: values[2 * i] ?? 0n, low: values[2 * i + 1] ?? 0n });
        judged = { asid, ticksLow, ticksHigh, verdict, next: first };
        byPid.set(pid, judged);
      }
    }
    lastPid = pid;
    last = judged;
    if (judged.verdict === 'own') mask[i] = 1;
    else if (judged.verdict === 'unknown') unknown += 1;
  }
  if (unknown > 0) onUnknown(unknown);
  return indicesOf(mask, length);
}

/** Copies of the rows, with the first `width` columns. */
function pick({ schema, columns }: Batch, rows: Int32Array, width: number): Batch {
  return {
    schema: schema.slice(0, width),
    columns: columns.slice(0, width).map((column) => compact(takeColumn(column, rows))),
    length: rows.length,
  };
}

/** A dictionary is that of the whole segment: only the entries that are used may go along. */
function compact(column: Column): Column {
  if (column.type !== 'STRING' || column.codes === undefined) return column;
  return compactStrings(column, column.codes);
}

function compactStrings({ dictionary, length }: StringColumn, codes: Int32Array): StringColumn {
  const position = new Map<number, number>();
  const used: number[] = [];
  const compacted = new Int32Array(length);
  let bytes = 0;
  for (let i = 0; i < length; i += 1) {
    const code = codes[i] ?? 0;
    let to = position.get(code);
    if (to === undefined) {
      position.set(code, (to = used.length));
      used.push(code);
      bytes += dictionary.bytes(code).length;
    }
    compacted[i] = to;
  }
  const offsets = new Int32Array(used.length + 1);
  const data = new Uint8Array(bytes);
  used.forEach((code, i) => {
    const entry = dictionary.bytes(code);
    data.set(entry, offsets[i]);
    offsets[i + 1] = (offsets[i] ?? 0) + entry.length;
  });
  return { type: 'STRING', length, codes: compacted, dictionary: dictionaryOf(offsets, data) };
}
