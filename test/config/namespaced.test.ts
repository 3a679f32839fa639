// config/namespaced as an overlay of somebody's own renders it.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { parseSettings, watchedNamespaces } from '../../src/controllers/workloads/settings.ts';
import { binary, clusterMissing } from '../cluster/binaries.ts';

interface Rendered {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly subjects?: readonly { readonly namespace: string }[];
}

function render(overlay: object): Rendered[] {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-overlay-'));
  try {
    const own = join(folder, 'overlay');
    mkdirSync(own);
    const base = relative(own, join(process.cwd(), 'config', 'namespaced'));
    writeFileSync(join(own, 'kustomization.yaml'), JSON.stringify({ ...overlay, resources: [base] }));
    const text = execFileSync(binary('kubernetes', 'kubectl'), ['kustomize', own], { encoding: 'utf8' });
    return parseAllDocuments(text).map((document) => document.toJS() as Rendered);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

(clusterMissing === undefined ? describe : describe.skip)('X4: rendered', () => {
  test.each([['sluice-system'], ['telemetry']])(
    'in namespace %s it watches that one, with the rights there',
    (namespace) => {
      const objects = render({ namespace });
      const settings = objects.find(
        ({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'sluice-settings',
      );
      expect(settings?.metadata.namespace).toBe(namespace);
      const parsed = parseSettings(settings?.data?.['sluice.yaml'] ?? 'none', 'sluice.yaml');
      if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
      expect(watchedNamespaces(parsed.settings, namespace)).toEqual([namespace]);
      const bindings = objects.filter(({ metadata }) => metadata.name === 'sluice-operator-watched');
      expect(bindings.map(({ kind }) => kind).sort()).toEqual(['ClusterRole', 'RoleBinding']);
      const binding = bindings.find(({ kind }) => kind === 'RoleBinding');
      expect(binding).toMatchObject({ metadata: { namespace }, subjects: [{ namespace }] });
    },
  );
});

test('names stay what they are, and the own one counts once', () => {
  const parsed = parseSettings('watchNamespaces: [shop, ".", telemetry]', 'f');
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  expect(watchedNamespaces(parsed.settings, 'telemetry')).toEqual(['shop', 'telemetry']);
  expect(parseSettings('watchNamespaces: [".."]', 'f').ok).toBe(false);
});
