// config/argocd/argocd-cm-patch.yaml: what Argo CD needs to know of our kinds, from config/argocd/health.lua.

const KINDS = {
  ExportScript: ['deliveredUntil', 'lastWindow', 'lastRun', 'totals', 'nextWindow', 'lastError', 'history'],
  OtelPlugin: ['lastSuccess', 'queue'],
} as const;

const indented = (text: string): string[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => (line === '' ? '' : `    ${line}`));

/** `lua`: the text of health.lua. */
export const argocdPatch = (lua: string): string =>
  [
    '# Made by scripts/generate-crds.ts from config/argocd/health.lua.',
    '# kubectl -n argocd patch configmap argocd-cm --patch-file config/argocd/argocd-cm-patch.yaml',
    'data:',
    '  # Without these Argo CD has no idea of the health of our kinds, and an application with broken ones looks Healthy.',
    ...Object.keys(KINDS).flatMap((kind) => [
      `  resource.customizations.health.sluice.dev_${kind}: |`,
      ...indented(lua),
    ]),
    '  # What changes with every window is no reason to look at an application again; its health still is. Before Argo CD 3.0',
    '  # this also needs resource.ignoreResourceUpdatesEnabled: "true".',
    ...Object.entries(KINDS).flatMap(([kind, fields]) => [
      `  resource.customizations.ignoreResourceUpdates.sluice.dev_${kind}: |`,
      '    jsonPointers:',
      ...fields.map((field) => `      - /status/${field}`),
    ]),
    '',
  ].join('\n');
