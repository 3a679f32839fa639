// How columns correspond to Apache Arrow types, and the one place that loads the library: only when something is read or
// written as Arrow, because it costs memory that most processes need not spend.
//
//   BOOLEAN Bool   INT64 Int64   FLOAT64 Float64   TIME64NS Timestamp(ns, UTC)
//   UINT128 FixedSizeBinary(16), big-endian, high word first   STRING Dictionary<Int32, Utf8>, or Utf8 where plain
import type * as arrow from 'apache-arrow';
import { SEMANTIC_TYPE_IDS, type DataType, type SemanticType } from '../model/types.ts';

export type Arrow = typeof arrow;

let loading: Promise<Arrow> | undefined;

/** The Arrow library, loaded at the first call. */
export const loadArrow = (): Promise<Arrow> => (loading ??= import('apache-arrow'));

/** Key of a field's metadata under which its semantic type travels. */
export const SEMANTIC_TYPE_KEY = 'sluice.semanticType';

export const semanticTypeOf = (field: arrow.Field): SemanticType => {
  const name = field.metadata.get(SEMANTIC_TYPE_KEY);
  return name !== undefined && isSemanticType(name) ? name : 'ST_NONE';
};

const isSemanticType = (name: string): name is SemanticType => Object.hasOwn(SEMANTIC_TYPE_IDS, name);

/** The cell type that an Arrow column has by itself, where no schema asks for another; undefined where none fits. */
export function dataTypeOf(arrow: Arrow, type: arrow.DataType): DataType | undefined {
  const { DataType } = arrow;
  if (DataType.isDictionary(type)) return dataTypeOf(arrow, type.dictionary);
  if (DataType.isBool(type)) return 'BOOLEAN';
  if (DataType.isInt(type) || DataType.isDuration(type)) return 'INT64';
  if (DataType.isFloat(type)) return 'FLOAT64';
  if (DataType.isTimestamp(type) || DataType.isDate(type)) return 'TIME64NS';
  if (DataType.isFixedSizeBinary(type)) return type.byteWidth === 16 ? 'UINT128' : 'STRING';
  if (isText(arrow, type) || isBytes(arrow, type) || DataType.isNull(type)) return 'STRING';
  return undefined;
}

export const isText = ({ DataType }: Arrow, type: arrow.DataType): boolean =>
  DataType.isUtf8(type) || DataType.isLargeUtf8(type) || DataType.isUtf8View(type);

export const isBytes = ({ DataType }: Arrow, type: arrow.DataType): boolean =>
  DataType.isBinary(type) || DataType.isLargeBinary(type) || DataType.isBinaryView(type);
