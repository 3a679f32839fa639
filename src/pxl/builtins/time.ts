// `px.now()`, `px.minutes(5)`, `px.parse_time('-5m')`, …: values known while compiling.
import { builtin } from '../call.ts';
import {
  type Bound,
  type Builtin,
  describe,
  expression,
  INVALID,
  literal,
  type Session,
  type Value,
} from '../values.ts';
import { UNIT_NS, fitsInt64, formatDuration, parseWithLayout, relativeNs, timeOf } from '../times.ts';
import { isInvalid, wantInt, wantString } from '../wants.ts';

const integer = (value: bigint, at: number): Value => expression(literal(value, 'INT64', at));

const unit = (name: keyof typeof UNIT_NS): Builtin =>
  builtin(`px.${name}`, ['unit'], (session, args, at) => {
    const arg = args.get('unit');
    const amount = arg === undefined ? undefined : wantInt(session, arg, "'unit'");
    if (amount === undefined) return INVALID;
    const ns = amount * UNIT_NS[name];
    if (fitsInt64(ns)) return integer(ns, at);
    session.diagnostics.report('INVALID_TIME', at, `px.${name}(${amount}) does not fit INT64 nanoseconds`);
    return INVALID;
  });

/** A time argument: INT64 or TIME64NS literal, or text, relative to the session's now. Undefined: wrong, reported. */
export function wantTime(session: Session, arg: Bound, what: string): bigint | undefined {
  const { value } = arg;
  if (value.kind === 'expression' && value.draft.kind === 'literal') {
    const { value: constant, type } = value.draft;
    if ((type === 'INT64' || type === 'TIME64NS') && typeof constant === 'bigint') return constant;
    if (typeof constant === 'string') {
      const time = timeOf(constant, session.now);
      if (time !== undefined) return time;
      const hint = "write '-5m', '2026-01-31 10:00:00 +0000' or '2026-01-31T10:00:00Z'";
      session.diagnostics.report('INVALID_TIME', arg.at, `${what} '${constant.slice(0, 40)}' is no time`, hint);
      return undefined;
    }
  }
  if (!isInvalid(value)) {
    session.diagnostics.report(
      'ARGUMENT_KIND',
      arg.at,
      `${what} must be a time known while compiling, not ${describe(value)}`,
    );
  }
  return undefined;
}

export const TIME_MEMBERS: Readonly<Record<string, Builtin>> = {
  now: builtin('px.now', [], (session, _, at) => integer(session.now, at)),
  days: unit('days'),
  hours: unit('hours'),
  minutes: unit('minutes'),
  seconds: unit('seconds'),
  milliseconds: unit('milliseconds'),
  microseconds: unit('microseconds'),
  parse_time: builtin('px.parse_time', ['time'], (session, args, at) => {
    const arg = args.get('time');
    const time = arg === undefined ? undefined : wantTime(session, arg, "'time'");
    return time === undefined ? INVALID : expression(literal(time, 'TIME64NS', at));
  }),
  parse_duration: builtin('px.parse_duration', ['duration'], (session, args, at) => {
    const arg = args.get('duration');
    const text = arg === undefined ? undefined : wantString(session, arg, "'duration'");
    if (arg === undefined || text === undefined) return INVALID;
    const ns = relativeNs(text);
    if (ns !== undefined && fitsInt64(ns)) return integer(ns, at);
    session.diagnostics.report(
      'INVALID_TIME',
      arg.at,
      `'${text.slice(0, 40)}' is no duration`,
      "write '-5m', '90s', '500ms'",
    );
    return INVALID;
  }),
  format_duration: builtin('px.format_duration', ['duration'], (session, args, at) => {
    const arg = args.get('duration');
    const ns = arg === undefined ? undefined : wantInt(session, arg, "'duration'");
    return ns === undefined ? INVALID : expression(literal(formatDuration(ns), 'STRING', at));
  }),
  strptime: builtin('px.strptime', ['date_string', 'format'], (session, args, at) => {
    const [textArg, layoutArg] = [args.get('date_string'), args.get('format')];
    if (textArg === undefined || layoutArg === undefined) return INVALID;
    const text = wantString(session, textArg, "'date_string'");
    const layout = wantString(session, layoutArg, "'format'");
    if (text === undefined || layout === undefined) return INVALID;
    const result = layout.length > 200 ? undefined : parseWithLayout(text, layout);
    if (result !== undefined && 'ns' in result && fitsInt64(result.ns)) return integer(result.ns, at);
    const unknown = result !== undefined && 'unknown' in result ? result.unknown : undefined;
    const message =
      unknown === undefined
        ? `'${text.slice(0, 40)}' does not have the layout '${layout.slice(0, 40)}'`
        : `the layout has ${unknown}, which is not supported here`;
    session.diagnostics.report(
      'INVALID_TIME',
      unknown === undefined ? textArg.at : layoutArg.at,
      message,
      'known are %Y %m %d %H %M %S %E*S %z %b %F %T',
    );
    return INVALID;
  }),
};
