// `df.merge(right, how, left_on, right_on, suffixes)`.
import type { Field } from '../model/types.ts';
import type { JoinOperator } from '../plan/plan.ts';
import { builtin } from './call.ts';
import { brokenFrame } from './frames.ts';
import { resolveColumn } from './resolve.ts';
import { frameOf } from './session.ts';
import type { Bound, Builtin, Frame, Session } from './values.ts';
import { didYouMean } from './suggest.ts';
import { wantFrame, wantNames, wantString } from './wants.ts';

const HOW: ReadonlyMap<string, JoinOperator['how']> = new Map(
  (['inner', 'left', 'right', 'outer'] as const).map((how) => [how, how]),
);

export const mergeMethod = (left: Frame): Builtin =>
  builtin('merge', ['right', 'how', 'left_on', 'right_on', 'suffixes?'], (session, args, at) => {
    const frame = merge(session, left, (name) => args.get(name), at);
    return { kind: 'frame', frame: frame ?? brokenFrame(session, at, [left]) };
  });

function merge(session: Session, left: Frame, arg: (name: string) => Bound | undefined, at: number): Frame | undefined {
  const [rightArg, howArg, leftOn, rightOn] = [arg('right'), arg('how'), arg('left_on'), arg('right_on')];
  if (rightArg === undefined || howArg === undefined || leftOn === undefined || rightOn === undefined) return undefined;
  const right = wantFrame(session, rightArg, "'right'");
  const howText = wantString(session, howArg, "'how'");
  const leftNames = wantNames(session, leftOn, "'left_on'");
  const rightNames = wantNames(session, rightOn, "'right_on'");
  const suffixes = readSuffixes(session, arg('suffixes'));
  if (
    right === undefined ||
    howText === undefined ||
    leftNames === undefined ||
    rightNames === undefined ||
    suffixes === undefined
  )
    return undefined;
  const how = HOW.get(howText);
  if (how === undefined) {
    session.diagnostics.report(
      'INVALID_MERGE',
      howArg.at,
      `'how' is '${howText}'`,
      didYouMean(howText, HOW.keys()) ?? "use 'inner', 'left', 'right' or 'outer'",
    );
    return undefined;
  }
  if (left.poisoned === 'all' || right.poisoned === 'all') return undefined;
  if (leftNames.length !== rightNames.length || leftNames.length === 0) {
    session.diagnostics.report(
      'INVALID_MERGE',
      rightOn.at,
      `left_on has ${leftNames.length} columns, right_on ${rightNames.length}`,
    );
    return undefined;
  }
  const pairs = leftNames.map(({ name, at: nameAt }, i) => {
    const other = rightNames[i];
    const a = resolveColumn(session, name, nameAt, left);
    const b = other === undefined ? undefined : resolveColumn(session, other.name, other.at, right);
    if (a === undefined || b === undefined || a.type === b.type) return a !== undefined && b !== undefined;
    session.diagnostics.report(
      'INVALID_MERGE',
      other?.at ?? at,
      `'${name}' is ${a.type} and '${other?.name ?? ''}' is ${b.type}; keys must have the same type`,
    );
    return false;
  });
  if (!pairs.every(Boolean)) return undefined;
  const columns = outputColumns(session, left, right, suffixes, arg('suffixes')?.at ?? at);
  if (columns === undefined || !timeIsKept(session, how, columns, at)) return undefined;
  const schema = columns.map(({ name, field }): Field => ({ ...field, name }));
  const operator: JoinOperator = {
    kind: 'join',
    left: left.operator,
    right: right.operator,
    how,
    leftKeys: leftNames.map(({ name }) => name),
    rightKeys: rightNames.map(({ name }) => name),
    columns: columns.map(({ name, side, field }) => ({ name, side, column: field.name })),
    schema,
  };
  return frameOf(session, operator, [left, right], at, new Set([...left.poisoned, ...right.poisoned]));
}

function readSuffixes(session: Session, arg: Bound | undefined): readonly [string, string] | undefined {
  if (arg === undefined) return ['_x', '_y'];
  const names = wantNames(session, arg, "'suffixes'");
  if (names === undefined) return undefined;
  const [a, b] = names;
  if (a !== undefined && b !== undefined && names.length === 2) return [a.name, b.name];
  session.diagnostics.report('INVALID_MERGE', arg.at, "'suffixes' must have two elements");
  return undefined;
}

interface OutputColumn {
  readonly name: string;
  readonly side: 'left' | 'right';
  readonly field: Field;
}

function outputColumns(
  session: Session,
  left: Frame,
  right: Frame,
  suffixes: readonly [string, string],
  at: number,
): readonly OutputColumn[] | undefined {
  const [leftNames, rightNames] = [left, right].map(
    (frame) => new Set(frame.operator.schema.map((field) => field.name)),
  );
  const shared = (name: string): boolean => leftNames?.has(name) === true && rightNames?.has(name) === true;
  const columns: OutputColumn[] = [];
  for (const [side, frame, suffix] of [
    ['left', left, suffixes[0]],
    ['right', right, suffixes[1]],
  ] as const) {
    for (const field of frame.operator.schema) {
      const name = shared(field.name) ? field.name + suffix : field.name;
      if (columns.some((column) => column.name === name)) {
        session.diagnostics.report(
          'DUPLICATE_COLUMN',
          at,
          `the merged frame would have two columns '${name}'`,
          "choose other suffixes, e.g. suffixes=['', '_r']",
        );
        return undefined;
      }
      columns.push({ name, side, field });
    }
  }
  return columns;
}

function timeIsKept(session: Session, how: JoinOperator['how'], columns: readonly OutputColumn[], at: number): boolean {
  const time = columns.find((column) => column.name === 'time_');
  if (time === undefined || how === 'inner' || how === time.side) return true;
  const message =
    how === 'outer'
      ? 'an outer join cannot have a column time_'
      : `time_ of a ${how} join must come from the ${how} side`;
  session.diagnostics.report('MERGE_TIME', at, message, 'drop or rename one of the time_ columns first');
  return false;
}
