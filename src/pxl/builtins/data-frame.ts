// `px.DataFrame(table, select=[], start_time=None, end_time=None)`.
import type { Field } from '../../model/types.ts';
import type { SourceOperator } from '../../plan/plan.ts';
import { timeNs } from '../../model/time.ts';
import { builtin, isNone } from '../call.ts';
import { brokenFrame } from '../frames.ts';
import { frameOf } from '../session.ts';
import type { Bound, Session, Value } from '../values.ts';
import { didYouMean } from '../suggest.ts';
import { wantTime } from './time.ts';
import { wantNames, wantString } from '../wants.ts';
import type { TableDefinition } from '../../model/catalogue.ts';

export const DATA_FRAME = builtin(
  'px.DataFrame',
  ['table', 'select?', 'start_time?', 'end_time?'],
  (session, args, at): Value => {
    const tableArg = args.get('table');
    const tableName = tableArg === undefined ? undefined : wantString(session, tableArg, "'table'");
    const start = timeBound(session, args.get('start_time'), "'start_time'");
    const end = timeBound(session, args.get('end_time'), "'end_time'");
    const table = tableName === undefined ? undefined : session.catalogue.get(tableName);
    if (tableArg === undefined || tableName === undefined) return { kind: 'frame', frame: brokenFrame(session, at) };
    if (table === undefined) {
      const hint = didYouMean(tableName, session.catalogue.keys()) ?? 'see sluice tables';
      session.diagnostics.report('UNKNOWN_TABLE', tableArg.at, `there is no table '${tableName}'`, hint);
      return { kind: 'frame', frame: brokenFrame(session, at) };
    }
    if (!table.filled)
      session.diagnostics.report(
        'TABLE_NOT_FILLED',
        tableArg.at,
        `nothing in this build fills the table '${tableName}'; it stays empty`,
      );
    if (start === undefined && session.window !== undefined) {
      const message = `this reads all rows of '${tableName}' that are retained, not only those of the window`;
      session.diagnostics.report('SOURCE_UNBOUNDED', at, message, 'add start_time=px.plugin.start_time');
    }
    const select = args.get('select');
    const { fields, poisoned } = selected(
      session,
      table,
      select === undefined || isNone(select.value) ? undefined : select,
    );
    const operator: SourceOperator = {
      kind: 'source',
      table: table.name,
      columns: fields.map((field) => field.name),
      schema: fields,
      ...(typeof start === 'bigint' && { start: timeNs(start) }),
      ...(typeof end === 'bigint' && { end: timeNs(end) }),
    };
    return { kind: 'frame', frame: frameOf(session, operator, [], at, poisoned) };
  },
);

/** `undefined`: not given. `false`: wrong, reported. */
function timeBound(session: Session, arg: Bound | undefined, what: string): bigint | false | undefined {
  return arg === undefined || isNone(arg.value) ? undefined : (wantTime(session, arg, what) ?? false);
}

function selected(
  session: Session,
  table: TableDefinition,
  select: Bound | undefined,
): { fields: readonly Field[]; poisoned: ReadonlySet<string> } {
  const poisoned = new Set<string>();
  const all = table.columns.map(({ name, type, semanticType }): Field => ({ name, type, semanticType }));
  const names = select === undefined ? [] : (wantNames(session, select, "'select'") ?? []);
  if (names.length === 0) return { fields: all, poisoned };
  const fields: Field[] = [];
  for (const { name, at } of names) {
    const field = all.find((candidate) => candidate.name === name);
    if (field === undefined) {
      poisoned.add(name);
      const known = all.map((candidate) => candidate.name);
      session.diagnostics.report(
        'UNKNOWN_COLUMN',
        at,
        `the table '${table.name}' has no column '${name}'`,
        didYouMean(name, known),
      );
    } else if (fields.includes(field))
      session.diagnostics.report('DUPLICATE_COLUMN', at, `the column '${name}' is selected twice`);
    else fields.push(field);
  }
  return { fields, poisoned };
}
