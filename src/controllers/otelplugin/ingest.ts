// An OtelPlugin from the API server -> what the operator keeps of it. Pure.
import { hashConditions, packConditions } from '../../crds/condition-memory.ts';
import type { OtelPlugin } from '../../crds/otel-plugin.ts';
import { problemText, validateOtelPlugin } from '../../crds/validate.ts';
import type { KubeObject } from '../../kube/types.ts';

export interface SlimPlugin extends KubeObject {
  readonly metadata: KubeObject['metadata'] & {
    readonly namespace: string;
    readonly uid: string;
    readonly generation: number;
  };
  /** Complete with defaults; undefined where this build does not take it. */
  readonly object: OtelPlugin | undefined;
  readonly problem: string | undefined;
  readonly conditions: string;
  readonly conditionsHash: string;
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

export function slimPlugin(object: KubeObject): SlimPlugin {
  const { metadata } = object;
  const { name, namespace = '', uid = '', generation = 1, resourceVersion = '', creationTimestamp = '' } = metadata;
  const kept = {
    name,
    namespace,
    uid,
    generation,
    resourceVersion,
    creationTimestamp,
    ...(metadata.deletionTimestamp === undefined ? {} : { deletionTimestamp: metadata.deletionTimestamp }),
  };
  const spec: unknown = Reflect.get(object, 'spec');
  const status: unknown = Reflect.get(object, 'status');
  const conditions: unknown = isRecord(status) ? status['conditions'] : undefined;
  const checked = validateOtelPlugin({
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata: { name, namespace, uid, generation },
    spec,
  });
  return {
    metadata: kept,
    object: checked.ok ? checked.value : undefined,
    problem: checked.ok ? undefined : problemText(checked.problems),
    conditions: packConditions(conditions),
    conditionsHash: hashConditions(conditions),
  };
}
