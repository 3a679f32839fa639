// Type objects: annotations, and casts that relabel without converting.
import type { DataType, SemanticType } from '../../model/types.ts';
import { type Bound, type Draft, expression, INVALID, type Session, type TypeObject, type Value } from '../values.ts';
import { wantExpression } from '../wants.ts';

const type = (name: string, dataType: DataType, semanticType: SemanticType = 'ST_NONE'): TypeObject => ({
  kind: 'type',
  name,
  dataType,
  semanticType,
});

export const PX_TYPES: Readonly<Record<string, TypeObject>> = {
  Service: type('px.Service', 'STRING', 'ST_SERVICE_NAME'),
  Pod: type('px.Pod', 'STRING', 'ST_POD_NAME'),
  Node: type('px.Node', 'STRING', 'ST_NODE_NAME'),
  Namespace: type('px.Namespace', 'STRING', 'ST_NAMESPACE_NAME'),
  Container: type('px.Container', 'STRING', 'ST_CONTAINER_NAME'),
  UPID: type('px.UPID', 'UINT128', 'ST_UPID'),
  Bytes: type('px.Bytes', 'INT64', 'ST_BYTES'),
  DurationNanos: type('px.DurationNanos', 'INT64', 'ST_DURATION_NS'),
  Percent: type('px.Percent', 'FLOAT64', 'ST_PERCENT'),
  Time: type('px.Time', 'TIME64NS'),
};

export const GLOBAL_TYPES: Readonly<Record<string, TypeObject>> = {
  str: type('str', 'STRING'),
  int: type('int', 'INT64'),
  float: type('float', 'FLOAT64'),
  bool: type('bool', 'BOOLEAN'),
  list: { kind: 'type', name: 'list', dataType: undefined, semanticType: 'ST_NONE', wants: 'collection' },
};

/** `px.Bytes(x)`: the same values with another semantic type. A literal stays one. */
export function cast(session: Session, to: TypeObject, arg: Bound, at: number): Value {
  const inner = wantExpression(session, arg, `the argument of ${to.name}`);
  if (inner === undefined) return INVALID;
  if (inner.kind === 'literal' && inner.type === to.dataType)
    return expression({ ...inner, semanticType: to.semanticType });
  const draft: Draft = { kind: 'cast', to, inner, at, size: inner.size + 1, depth: inner.depth + 1 };
  return expression(draft);
}
