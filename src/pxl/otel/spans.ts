// `px.otel.trace.Span` -> SpanSpec.
import type { ExportValue, SpanSpec } from '../../plan/plan.ts';
import { isNone } from '../call.ts';
import type { Bound, OtelEntry } from '../values.ts';
import { wantInt } from '../wants.ts';
import {
  type Exported,
  type Wanted,
  optionalColumn,
  plainAttributes,
  readAttributes,
  wantColumn,
  wantValue,
} from './columns.ts';

const TIME: Wanted = {
  types: ['TIME64NS'],
  code: 'OTEL_TIME_TYPE',
  hint: 'compute it: df.start = df.time_ - df.latency',
};
const ID: Wanted = { types: ['STRING'], code: 'OTEL_ID_TYPE', hint: 'ids are hexadecimal text' };
const NAME: Wanted = { types: ['STRING'], code: 'OTEL_SPAN_NAME' };
const STATUS: Wanted = { types: ['INT64'], code: 'OTEL_STATUS', hint: '0 is unset, 1 ok, 2 error' };
const MESSAGE: Wanted = { types: ['STRING'], code: 'OTEL_STATUS' };

const SPAN_KIND_SERVER = 2;

/** The span of one `data` element; undefined where it is wrong, which is then reported. */
export function readSpan(exported: Exported, entry: OtelEntry, path: string): SpanSpec | undefined {
  const { diagnostics } = exported.session;
  const arg = (name: string): Bound | undefined => {
    const given = entry.args.get(name);
    return given === undefined || isNone(given.value) ? undefined : given;
  };
  const time = (name: string): string | undefined => {
    const given = entry.args.get(name);
    return given === undefined ? undefined : wantColumn(exported, given, `${path}.${name}`, TIME)?.name;
  };
  const id = (name: string): string | undefined => optionalColumn(exported, arg(name), `${path}.${name}`, ID)?.name;

  const nameArg = entry.args.get('name');
  const name = nameArg === undefined ? undefined : wantValue(exported, nameArg, `${path}.name`, NAME);
  const [startTime, endTime] = [time('start_time'), time('end_time')];
  const [traceId, spanId, parentSpanId] = [id('trace_id'), id('span_id'), id('parent_span_id')];
  const attributes = readAttributes(exported, entry.args.get('attributes'), `${path}.attributes`, 'OTEL_ATTRS_TYPE');

  const kindArg = arg('kind');
  const kind =
    kindArg === undefined
      ? BigInt(SPAN_KIND_SERVER)
      : wantInt(exported.session, kindArg, `${path}.kind`, 'OTEL_ARG_KIND');
  if (kind !== undefined && (kind < 0n || kind > 5n)) {
    diagnostics.report(
      'OTEL_SPAN_KIND',
      kindArg?.at ?? entry.at,
      `${path}.kind is ${kind}`,
      'use px.otel.trace.SPAN_KIND_SERVER and its like (0 to 5)',
    );
  }
  const codeArg = arg('status_code');
  const statusCode = codeArg === undefined ? undefined : readStatus(exported, codeArg, `${path}.status_code`);
  const messageArg = arg('status_message');
  const statusMessage =
    messageArg === undefined ? undefined : wantValue(exported, messageArg, `${path}.status_message`, MESSAGE);
  if (name === undefined || startTime === undefined || endTime === undefined || kind === undefined) return undefined;
  return {
    name,
    startTime,
    endTime,
    ...(traceId !== undefined && { traceId }),
    ...(spanId !== undefined && { spanId }),
    ...(parentSpanId !== undefined && { parentSpanId }),
    attributes: plainAttributes(attributes),
    spanKind: Number(kind),
    ...(statusCode !== undefined && { statusCode }),
    ...(statusMessage !== undefined && { statusMessage }),
  };
}

function readStatus(exported: Exported, arg: Bound, path: string): ExportValue | undefined {
  const code = wantValue(exported, arg, path, STATUS);
  if (code?.kind !== 'literal' || (Number(code.value) >= 0 && Number(code.value) <= 2)) return code;
  exported.session.diagnostics.report('OTEL_STATUS', arg.at, `${path} is ${String(code.value)}`, STATUS.hint);
  return undefined;
}
