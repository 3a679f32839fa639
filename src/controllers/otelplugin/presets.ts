// `spec.presets.include` of an OtelPlugin -> the ExportScripts that it owns. Pure.
import type { ExportScript } from '../../crds/export-script.ts';
import type { OtelPlugin } from '../../crds/otel-plugin.ts';
import { validateExportScript } from '../../crds/validate.ts';
import { API_VERSION } from '../../crds/parts.ts';

/** `<plugin>-<preset>`: at most 63 characters, because plugins have at most 40 and presets at most 22. */
export const ownedScriptName = (plugin: string, preset: string): string => `${plugin}-${preset}`;

/** The scripts that a plugin's presets stand for, complete with defaults. */
export function ownedScripts(plugin: OtelPlugin, namespace: string): ExportScript[] {
  const { name } = plugin.metadata;
  return (plugin.spec.presets?.include ?? []).flatMap((preset) => {
    const result = validateExportScript({
      apiVersion: API_VERSION,
      kind: 'ExportScript',
      metadata: { name: ownedScriptName(name, preset), namespace },
      spec: { pluginRef: { name }, script: { preset } },
    });
    return result.ok ? [result.value] : [];
  });
}
