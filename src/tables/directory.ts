// A folder as a source of rows: `<table>.arrow` (IPC file or stream) or `<table>.ndjson` (one object a row) for any table of
// the catalogue, and `identity.ndjson` for names. Read once, held in memory, sorted by time_.
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ArrowReadError, readArrow } from '../columns/arrow-read.ts';
import type { Batch } from '../columns/column.ts';
import { columnBuilder } from '../columns/builder.ts';
import { concatColumns } from '../columns/concat.ts';
import { CATALOGUE, schemaOf, type TableDefinition } from '../model/catalogue.ts';
import type { IdentityLookup } from '../model/identity.ts';
import { timeNs, type TimeNs } from '../model/time.ts';
import { ALLOWED_JSON, cellFromJson } from './cell-json.ts';
import { NO_IDENTITY, readIdentityFile } from './identity-file.ts';
import { readJsonLines } from './json-lines.ts';
import { ROWS_PER_BATCH_MAX, cutPiece, sortPiece, type Piece } from './piece.ts';
import { snapshotOf, type Snapshot, type SnapshotOptions } from './snapshot.ts';
import { SourceError } from './source-error.ts';

export interface TableDirectory {
  /** Rows of [start, end); none for a table without a file. Throws for a table or a column that does not exist. */
  snapshot(table: string, options?: SnapshotOptions): Snapshot;
  /** Rows of a table. */
  rows(table: string): number;
  /** The smallest [start, end) that has all rows of all tables; undefined where there are none. */
  readonly range: { readonly start: TimeNs; readonly end: TimeNs } | undefined;
  readonly identity: IdentityLookup;
  /** What was passed over, in words: files that name no table, columns that the catalogue does not have. */
  readonly warnings: readonly string[];
}

const IDENTITY_FILE = 'identity.ndjson';
const FORMS = ['.arrow', '.ndjson'] as const;

/** Reads all tables in the folder at `path`. Throws `SourceError` naming file, line and column of what is wrong. */
export async function openDirectory(
  path: string,
  tables: readonly TableDefinition[] = CATALOGUE,
): Promise<TableDirectory> {
  const names = await listFolder(path);
  const warnings: string[] = [];
  const pieces = new Map<string, readonly Piece[]>();
  for (const definition of tables) {
    const files = FORMS.map((form) => definition.name + form).filter((name) => names.includes(name));
    const [file] = files;
    if (files.length > 1)
      throw new SourceError({ file: files.join(' and ') }, 'a table has one file; remove one of them');
    if (file === undefined) continue;
    const read = file.endsWith('.arrow') ? readArrowTable : readJsonTable;
    const batches = await read(join(path, file), file, definition, warnings).catch(inFile(file));
    pieces.set(definition.name, sortedPieces(batches));
  }
  for (const name of names) {
    const form = FORMS.find((form) => name.endsWith(form));
    if (form === undefined || name === IDENTITY_FILE || tables.some((table) => table.name + form === name)) continue;
    warnings.push(`${name}: no table is called ${name.slice(0, -form.length)}; the file is not read`);
  }
  const identity = names.includes(IDENTITY_FILE)
    ? await readIdentityFile(join(path, IDENTITY_FILE), IDENTITY_FILE).catch(inFile(IDENTITY_FILE))
    : NO_IDENTITY;

  const definitionOf = (name: string): TableDefinition => {
    const definition = tables.find((table) => table.name === name);
    if (definition !== undefined) return definition;
    throw new Error(`no table ${name}; there are ${tables.map((table) => table.name).join(', ')}`);
  };
  return {
    snapshot: (name, options = {}) => snapshotOf(definitionOf(name), pieces.get(name) ?? [], options, 0),
    rows: (name) => (pieces.get(definitionOf(name).name) ?? []).reduce((rows, { times }) => rows + times.length, 0),
    range: rangeOf([...pieces.values()].flat()),
    identity,
    warnings,
  };
}

/** The system's errors do not all say which file they are about. */
const inFile =
  (file: string) =>
  (cause: unknown): never => {
    if (typeof cause !== 'object' || cause === null || !('code' in cause && 'message' in cause)) throw cause;
    throw new SourceError({ file }, `cannot be read: ${String(cause.message)}`, cause);
  };

async function listFolder(path: string): Promise<string[]> {
  try {
    const entries = await readdir(path);
    return entries.sort();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SourceError({ file: path }, `cannot be read as a folder of tables: ${reason}`, cause);
  }
}

async function readArrowTable(
  path: string,
  file: string,
  definition: TableDefinition,
  warnings: string[],
): Promise<readonly Batch[]> {
  try {
    const { batches, ignored } = await readArrow(await readFile(path), schemaOf(definition));
    for (const column of ignored) warnings.push(ignoredColumn(file, column, definition));
    return batches;
  } catch (cause) {
    if (cause instanceof ArrowReadError) throw new SourceError({ file }, cause.message, cause);
    throw cause;
  }
}

const ignoredColumn = (file: string, column: string, { name }: TableDefinition): string =>
  `${file}: table ${name} has no column ${column}; it is not read`;

async function readJsonTable(
  path: string,
  file: string,
  definition: TableDefinition,
  warnings: string[],
): Promise<readonly Batch[]> {
  const schema = schemaOf(definition);
  const known = new Set(schema.map(({ name }) => name));
  const ignored = new Set<string>();
  const batches: Batch[] = [];
  let builders = schema.map(({ type }) => columnBuilder(type));
  let rows = 0;
  const finish = (): void => {
    if (rows > 0) batches.push({ schema, columns: builders.map((builder) => builder.finish()), length: rows });
    builders = schema.map(({ type }) => columnBuilder(type));
    rows = 0;
  };
  for await (const { line, value } of readJsonLines(path, file)) {
    for (const key of Object.keys(value)) if (!known.has(key)) ignored.add(key);
    for (const [at, { name, type }] of schema.entries()) {
      const cell = cellFromJson(type, value[name]);
      if (cell === undefined) {
        const got = shorten(value[name]);
        throw new SourceError({ file, line, column: name }, `${got} is no ${type}; allowed: ${ALLOWED_JSON[type]}`);
      }
      builders[at]?.append(cell);
    }
    if (++rows === ROWS_PER_BATCH_MAX) finish();
  }
  finish();
  for (const column of [...ignored].slice(0, 20)) warnings.push(ignoredColumn(file, column.slice(0, 80), definition));
  return batches;
}

function shorten(value: unknown): string {
  const text =
    typeof value === 'bigint'
      ? `${value}`
      : JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? `${inner}` : inner));
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

/** Rows by time_ in pieces that do not overlap. */
function sortedPieces(batches: readonly Batch[]): readonly Piece[] {
  const pieces = batches.map(pieceOf).map(sortPiece);
  const isInOrder = pieces.every(
    (piece, i) => i === 0 || (pieces[i - 1]?.times.at(-1) ?? 0n) <= (piece.times[0] ?? 0n),
  );
  const first = pieces[0];
  if (isInOrder || first === undefined) return pieces.flatMap(cutPiece);
  const columns = first.columns.map((_, i) => concatColumns(pieces.flatMap((piece) => piece.columns[i] ?? [])));
  const times = new BigInt64Array(pieces.reduce((rows, piece) => rows + piece.times.length, 0));
  let row = 0;
  for (const piece of pieces) {
    times.set(piece.times, row);
    row += piece.times.length;
  }
  return cutPiece(sortPiece({ columns, times }));
}

function pieceOf({ schema, columns, length }: Batch): Piece {
  const column = columns[schema.findIndex(({ name }) => name === 'time_')];
  return { columns, times: column?.type === 'TIME64NS' ? column.values : new BigInt64Array(length) };
}

function rangeOf(pieces: readonly Piece[]): TableDirectory['range'] {
  let start: bigint | undefined;
  let last: bigint | undefined;
  for (const { times } of pieces) {
    const [first, final] = [times[0] ?? 0n, times.at(-1) ?? 0n];
    if (start === undefined || first < start) start = first;
    if (last === undefined || final > last) last = final;
  }
  return start === undefined || last === undefined ? undefined : { start: timeNs(start), end: timeNs(last + 1n) };
}
