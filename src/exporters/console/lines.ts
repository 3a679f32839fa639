// OTLP as text for people: one line per data point, span and log record. Text from outside is quoted wherever it could
// be mistaken for structure or move the terminal's cursor.
import { formatTime, timeNs } from '../../model/time.ts';
import type { Json, OtlpJson } from '../otlp/json.ts';

const SPAN_KINDS = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'];
const STATUS_CODES = ['unset', 'ok', 'error'];
const TEMPORALITIES = ['unspecified', 'delta', 'cumulative'];

type Fields = Readonly<Record<string, Json>>;

const isFields = (value: Json | undefined): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const fields = (value: Json | undefined): Fields => (isFields(value) ? value : {});
const list = (value: Json | undefined): readonly Fields[] => (Array.isArray(value) ? value.filter(isFields) : []);
const text = (value: Json | undefined): string => (typeof value === 'string' ? value : '');
const number = (value: Json | undefined): string =>
  typeof value === 'number' || typeof value === 'string' ? String(value) : '0';

/** Plain where it is one word of printable characters, else as a JSON string with every control character escaped. */
function word(value: string): string {
  if (/^[^\s"=\\|\p{C}]+$/u.test(value)) return value;
  return JSON.stringify(value).replace(/[\p{C}\u2028\u2029]/gu, (character) =>
    Array.from(
      { length: character.length },
      (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`,
    ).join(''),
  );
}

/** An AnyValue. */
function anyText(value: Fields): string {
  const [kind, content] = Object.entries(value)[0] ?? [];
  if (kind === 'stringValue') return word(text(content));
  if (kind === 'bytesValue') return `base64:${text(content)}`;
  if (kind === 'arrayValue') return `[${list(fields(content)['values']).map(anyText).join(',')}]`;
  if (kind === 'kvlistValue') return `{${attributes(fields(content)['values']).join(' ')}}`;
  return kind === undefined ? '""' : JSON.stringify(content).replaceAll('"', '');
}

const attributes = (value: Json | undefined): string[] =>
  list(value).map((attribute) => `${word(text(attribute['key']))}=${anyText(fields(attribute['value']))}`);

const MAX_TIME = 253_402_300_799_999_999_999n;

function time(value: Json | undefined): string {
  const digits = number(value);
  if (!/^\d{1,20}$/.test(digits)) return word(digits);
  const ns = BigInt(digits);
  return ns > MAX_TIME ? digits : formatTime(timeNs(ns), 9);
}

const line = (parts: readonly string[], own: readonly string[], suffix: string): string =>
  [...parts.filter((part) => part !== ''), ...own].join(' ') + suffix;

function pointValue(kind: string, point: Fields): string {
  if (kind === 'gauge' || kind === 'sum') return number(point['asInt'] ?? point['asDouble']);
  const parts = [`count=${number(point['count'])}`];
  for (const name of ['sum', 'min', 'max']) if (point[name] !== undefined) parts.push(`${name}=${number(point[name])}`);
  for (const { quantile, value } of list(point['quantileValues'])) parts.push(`q${number(quantile)}=${number(value)}`);
  const counts = point['bucketCounts'];
  const bounds = point['explicitBounds'];
  if (Array.isArray(counts) && Array.isArray(bounds)) {
    parts.push(`buckets=[${counts.map((count, i) => `≤${number(bounds[i] ?? '∞')}:${number(count)}`).join(' ')}]`);
  }
  return parts.join(' ');
}

function* metricLines(metric: Fields, suffix: string): Generator<string> {
  for (const kind of ['gauge', 'sum', 'summary', 'histogram', 'exponentialHistogram']) {
    const data = fields(metric[kind]);
    const temporality = TEMPORALITIES[Number(data['aggregationTemporality'] ?? 0)] ?? '';
    const label = [kind, ...(temporality === 'unspecified' ? [] : [temporality])].join('/');
    for (const point of list(data['dataPoints'])) {
      const value = `${pointValue(kind, point)}${text(metric['unit']) === '' ? '' : ` ${word(text(metric['unit']))}`}`;
      const start = [time(point['timeUnixNano']), label, word(text(metric['name'])), value];
      yield line(start, attributes(point['attributes']), suffix);
    }
  }
}

function spanLine(span: Fields, suffix: string): string {
  const status = fields(span['status']);
  const durationNs = BigInt(number(span['endTimeUnixNano'])) - BigInt(number(span['startTimeUnixNano']));
  const parent = text(span['parentSpanId']);
  return line(
    [
      time(span['startTimeUnixNano']),
      `span/${SPAN_KINDS[Number(span['kind'] ?? 0)] ?? number(span['kind'])}`,
      word(text(span['name'])),
      `${Number(durationNs) / 1e6}ms`,
      STATUS_CODES[Number(status['code'] ?? 0)] ?? '',
      text(status['message']) === '' ? '' : word(text(status['message'])),
      `trace=${text(span['traceId'])}`,
      `span=${text(span['spanId'])}`,
      parent === '' ? '' : `parent=${parent}`,
    ],
    attributes(span['attributes']),
    suffix,
  );
}

function logLine(record: Fields, suffix: string): string {
  const severity = text(record['severityText']) || `severity-${number(record['severityNumber'])}`;
  const at = time(record['timeUnixNano'] ?? record['observedTimeUnixNano']);
  return line([at, `log/${word(severity)}`, anyText(fields(record['body']))], attributes(record['attributes']), suffix);
}

/** The lines of one request: time, kind, name, value, attributes, and behind a bar the resource. No newlines. */
export function* otlpLines(json: OtlpJson): Generator<string> {
  for (const root of [...(json.resourceMetrics ?? []), ...(json.resourceSpans ?? []), ...(json.resourceLogs ?? [])]) {
    const resource = attributes(fields(root['resource'])['attributes']);
    const suffix = resource.length === 0 ? '' : ` | ${resource.join(' ')}`;
    for (const scope of list(root['scopeMetrics'])) {
      for (const metric of list(scope['metrics'])) yield* metricLines(metric, suffix);
    }
    for (const scope of list(root['scopeSpans'])) {
      for (const span of list(scope['spans'])) yield spanLine(span, suffix);
    }
    for (const scope of list(root['scopeLogs'])) {
      for (const record of list(scope['logRecords'])) yield logLine(record, suffix);
    }
  }
}
