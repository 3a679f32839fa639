// Our two kinds as the API server serves them.
import { API_GROUP } from '../../crds/parts.ts';
import type { KubeObject, ResourceType } from '../../kube/types.ts';

const ours = (plural: string, kind: string): ResourceType => ({
  group: API_GROUP,
  version: 'v1alpha1',
  plural,
  kind,
  namespaced: true,
});

export const OTEL_PLUGINS = ours('otelplugins', 'OtelPlugin');
export const EXPORT_SCRIPTS = ours('exportscripts', 'ExportScript');

/** Objects of a list come without apiVersion and kind, which validation asks for. */
export const objectOf = ({ group, version, kind }: ResourceType, object: KubeObject): KubeObject => ({
  ...object,
  apiVersion: `${group}/${version}`,
  kind,
});
