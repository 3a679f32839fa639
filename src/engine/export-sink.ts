// The sink that makes telemetry of rows: px.export(df, px.otel.Data(…)). Pure but for its counters: same rows, same run,
// same telemetry.
import type { Batch } from '../columns/column.ts';
import type { ExportAttribute, OtelExport } from '../plan/plan.ts';
import type { Schema } from '../model/types.ts';
import type { Attribute, TelemetryBatch } from '../telemetry/batches.ts';
import { columnIndex } from './evaluate.ts';
import { attributesOf } from './export/attributes.ts';
import { fanOut } from './export/fan-out.ts';
import { metricBatch } from './export/metrics.ts';
import { newExportCounters, type ExportCounters, type ExportRun } from './export/run.ts';
import { createFingerprints } from './export/span-ids.ts';
import { spanBatch } from './export/spans.ts';

export interface ExportSink {
  /** The telemetry of some rows: a batch per metric, then one per span; none that is empty. */
  add(rows: Batch): TelemetryBatch[];
  /** What was left out or changed so far, and why. */
  readonly counters: Readonly<ExportCounters>;
}

/** A sink for the rows of one run; feed it all batches of the sink's input in order. */
export function createExportSink(spec: OtelExport, run: ExportRun): ExportSink {
  const counters = newExportCounters();
  const fingerprintsOf = createFingerprints(run);
  const { fixed, splitting, plain } = splitResource(spec, run);
  const resourceOf = (batch: Batch): readonly Attribute[] => [
    ...attributesOf(batch, plain),
    ...attributesOf(batch, splitting),
    ...fixed,
  ];

  return {
    counters,
    add(rows) {
      if (rows.length === 0) return [];
      const { batch, copies } = fanOut(rows, splitColumns(rows.schema, splitting), counters);
      const batches: (TelemetryBatch | undefined)[] = spec.metrics.map((metric) =>
        metricBatch(metric, batch, resourceOf, run, counters),
      );
      if (spec.spans.length > 0) {
        const fingerprintOf = fingerprintsOf(rows);
        const originals = originalRows(batch.length, copies);
        const all = { batch, copies, fingerprint: (row: number) => fingerprintOf(originals?.[row] ?? row) };
        batches.push(...spec.spans.map((span, i) => spanBatch(span, i, all, resourceOf, run, counters)));
      }
      return batches.filter((telemetry) => telemetry !== undefined);
    },
  };
}

interface Resource {
  /** Attributes of the destination: they replace those of the script. */
  readonly fixed: readonly Attribute[];
  /** Attributes that may hold several services; they come after the plain ones. */
  readonly splitting: readonly ExportAttribute[];
  readonly plain: readonly ExportAttribute[];
}

function splitResource(spec: OtelExport, run: ExportRun): Resource {
  const own = spec.resource.filter(({ key }) => !Object.hasOwn(run.resourceAttributes, key));
  const splits = ({ key, value }: ExportAttribute): boolean => value.kind === 'column' && spec.fanOut.includes(key);
  return {
    fixed: Object.entries(run.resourceAttributes).map(([key, value]) => ({ key, value: { kind: 'literal', value } })),
    splitting: own.filter(splits),
    plain: own.filter((attribute) => !splits(attribute)),
  };
}

const splitColumns = (schema: Schema, splitting: readonly ExportAttribute[]): readonly number[] => [
  ...new Set(
    splitting.flatMap(({ value }) => (value.kind === 'column' ? [columnIndex(schema, value.column, 'STRING')] : [])),
  ),
];

/** The row before fan-out of each row; copies follow each other, so a row begins where copy 0 is. */
function originalRows(length: number, copies: Int32Array | undefined): Int32Array | undefined {
  if (copies === undefined) return undefined;
  let original = -1;
  return Int32Array.from({ length }, (_, i) => (copies[i] === 0 ? ++original : original));
}
