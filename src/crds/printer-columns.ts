// The columns of `kubectl get`, once: the CRD's additionalPrinterColumns come from here, and so does the table that
// `sluice local` shows.
import type { ExportScript } from './export-script.ts';
import type { OtelPlugin } from './otel-plugin.ts';
import type { Condition, ExportScriptStatus, OtelPluginStatus } from './status.ts';

export interface PrinterColumn<Spec, Status> {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date';
  readonly jsonPath: string;
  /** 1: only with `-o wide`. */
  readonly priority: 0 | 1;
  readonly value: (object: Spec, status: Status) => string;
}

const conditionPath = (type: string, field: string): string => `.status.conditions[?(@.type=="${type}")].${field}`;
const conditionValue = (
  conditions: readonly Condition[],
  type: string,
  field: 'status' | 'reason' | 'message',
): string => conditions.find((condition) => condition.type === type)?.[field] ?? '';

const readyColumn = <S, T extends { readonly conditions: readonly Condition[] }>(
  name: string,
  field: 'status' | 'reason' | 'message',
  priority: 0 | 1 = 0,
): PrinterColumn<S, T> => ({
  name,
  type: 'string',
  jsonPath: conditionPath('Ready', field),
  priority,
  value: (_, status) => conditionValue(status.conditions, 'Ready', field),
});

export const exportScriptColumns: readonly PrinterColumn<ExportScript, ExportScriptStatus>[] = [
  {
    name: 'Plugin',
    type: 'string',
    jsonPath: '.spec.pluginRef.name',
    priority: 0,
    value: ({ spec }) => spec.pluginRef.name,
  },
  { name: 'Window', type: 'string', jsonPath: '.spec.window', priority: 0, value: ({ spec }) => spec.window ?? '' },
  readyColumn('Ready', 'status'),
  readyColumn('Reason', 'reason'),
  {
    name: 'Last-Window',
    type: 'date',
    jsonPath: '.status.lastWindow.end',
    priority: 0,
    value: (_, status) => status.lastWindow?.end ?? '',
  },
  {
    name: 'Metrics',
    type: 'integer',
    jsonPath: '.status.lastRun.metrics',
    priority: 0,
    value: (_, status) => String(status.lastRun?.metrics ?? ''),
  },
  {
    name: 'Spans',
    type: 'integer',
    jsonPath: '.status.lastRun.spans',
    priority: 0,
    value: (_, status) => String(status.lastRun?.spans ?? ''),
  },
  {
    name: 'Rows',
    type: 'integer',
    jsonPath: '.status.lastRun.rows',
    priority: 1,
    value: (_, status) => String(status.lastRun?.rows ?? ''),
  },
  {
    name: 'Failures',
    type: 'integer',
    jsonPath: '.status.totals.failures',
    priority: 1,
    value: (_, status) => String(status.totals.failures),
  },
  {
    name: 'Missed',
    type: 'integer',
    jsonPath: '.status.totals.missed',
    priority: 1,
    value: (_, status) => String(status.totals.missed),
  },
  readyColumn('Message', 'message', 1),
];

/** The host of an endpoint: never its path, query or credentials. */
export const endpointHost = (endpoint: string): string => endpoint.replace(/^[a-z]+:\/\//i, '').replace(/[/?#].*$/, '');

export const otelPluginColumns: readonly PrinterColumn<OtelPlugin, OtelPluginStatus>[] = [
  {
    name: 'Type',
    type: 'string',
    jsonPath: '.spec.destination.type',
    priority: 0,
    value: ({ spec }) => spec.destination.type,
  },
  {
    name: 'Endpoint',
    type: 'string',
    jsonPath: '.status.endpoint',
    priority: 0,
    value: (_, status) => status.endpoint ?? '',
  },
  readyColumn('Ready', 'status'),
  { name: 'Scripts', type: 'string', jsonPath: '.status.scripts', priority: 0, value: (_, status) => status.scripts },
  {
    name: 'Last-Success',
    type: 'date',
    jsonPath: '.status.lastSuccess',
    priority: 0,
    value: (_, status) => status.lastSuccess ?? '',
  },
];

const withRest = (whole: number, unit: string, rest: number, below: string): string =>
  rest === 0 ? `${whole}${unit}` : `${whole}${unit}${rest}${below}`;

/** A duration as kubectl shows ages (HumanDuration of apimachinery): `45s`, `3m10s`, `7h5m`, `20h`, `2d3h`, `9d`, `3y20d`. */
export function formatAge(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 120) return `${s}s`;
  const m = Math.floor(s / 60);
  if (m < 10) return withRest(m, 'm', s % 60, 's');
  if (m < 180) return `${m}m`;
  const h = Math.floor(m / 60);
  if (h < 8) return withRest(h, 'h', m % 60, 'm');
  if (h < 48) return `${h}h`;
  const d = Math.floor(h / 24);
  if (d < 8) return withRest(d, 'd', h % 24, 'h');
  if (d < 730) return `${d}d`;
  const y = Math.floor(d / 365);
  return y < 8 ? withRest(y, 'y', d % 365, 'd') : `${y}y`;
}

export interface TableRow<Spec, Status> {
  readonly name: string;
  readonly object: Spec;
  readonly status: Status;
  readonly createdMs: number;
}

/** Lines of a table as `kubectl get` prints it: upper-case heads, three spaces between columns, `<none>`-less blanks. */
export function renderTable<Spec, Status>(
  columns: readonly PrinterColumn<Spec, Status>[],
  rows: readonly TableRow<Spec, Status>[],
  nowMs: number,
  wide = false,
): string[] {
  const shown = columns.filter(({ priority }) => wide || priority === 0);
  const heads = ['NAME', ...shown.map(({ name }) => name.toUpperCase()), 'AGE'];
  const cells = rows.map(({ name, object, status, createdMs }) => [
    name,
    ...shown.map((column) => {
      const value = column.value(object, status);
      return column.type === 'date' && value !== '' ? formatAge(nowMs - Date.parse(value)) : value;
    }),
    formatAge(nowMs - createdMs),
  ]);
  const widths = heads.map((head, i) => Math.max(head.length, ...cells.map((row) => (row[i] ?? '').length)));
  return [heads, ...cells].map((row) =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd((widths[i] ?? 0) + 3)))
      .join('')
      .trimEnd(),
  );
}
