// Attributes of resources, points and spans as columns or constants.
import type { Batch } from '../../columns/column.ts';
import type { ExportAttribute, ExportValue } from '../../plan/plan.ts';
import type { Attribute, AttributeValue } from '../../telemetry/batches.ts';
import { EngineError } from '../context.ts';
import { columnIndex, columnOf } from '../evaluate.ts';

export function attributeValue(batch: Batch, value: ExportValue): AttributeValue {
  if (value.kind === 'literal') return value;
  const column = columnOf(batch, columnIndex(batch.schema, value.column));
  if (column.type === 'UINT128' || column.type === 'TIME64NS') {
    throw new EngineError('COLUMN_TYPE', `column "${value.column}" of type ${column.type} cannot be an attribute`);
  }
  return { kind: 'column', column };
}

export const attributesOf = (batch: Batch, attributes: readonly ExportAttribute[]): readonly Attribute[] =>
  attributes.map(({ key, value }) => ({ key, value: attributeValue(batch, value) }));
