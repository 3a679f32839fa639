// Writes config/crd, config/argocd, docs/conditions.md and docs/resources.md from src/crds: node scripts/generate-crds.ts
// A test compares what is committed with what this makes.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { DEFINITIONS, type CustomResourceDefinition } from '../src/crds/definitions.ts';
import { OTEL_PLUGIN_REASONS } from '../src/crds/plugin-reasons.ts';
import { EXPORT_SCRIPT_REASONS } from '../src/crds/script-reasons.ts';
import { argocdPatch } from './crds/argocd.ts';
import { conditionsPage, resourcesPage } from './crds/pages.ts';

const ROOT = join(import.meta.dirname, '..');
const NOTE = '# Made by scripts/generate-crds.ts from src/crds.\n';

const yaml = (value: unknown): string => NOTE + stringify(value, { lineWidth: 120, aliasDuplicateObjects: false });

const fileOf = ({ metadata }: CustomResourceDefinition): string => {
  const [plural = '', ...group] = metadata.name.split('.');
  return `${group.join('.')}_${plural}.yaml`;
};

/** Path below the repository -> text. */
export function generatedFiles(): Map<string, string> {
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    resources: DEFINITIONS.map(fileOf),
  };
  return new Map([
    ...DEFINITIONS.map((definition): [string, string] => [`config/crd/${fileOf(definition)}`, yaml(definition)]),
    ['config/crd/kustomization.yaml', yaml(kustomization)],
    ['docs/conditions.md', conditionsPage({ ExportScript: EXPORT_SCRIPT_REASONS, OtelPlugin: OTEL_PLUGIN_REASONS })],
    ['docs/resources.md', resourcesPage(DEFINITIONS)],
    ['config/argocd/argocd-cm-patch.yaml', argocdPatch(readFileSync(join(ROOT, 'config/argocd/health.lua'), 'utf8'))],
  ]);
}

if (import.meta.main) {
  for (const [path, text] of generatedFiles()) writeFileSync(join(ROOT, path), text);
}
