import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from '@jest/globals';

const ALL = [
  'model',
  'columns',
  'telemetry',
  'plan',
  'pxl',
  'engine',
  'tables',
  'collector',
  'exporters',
  'ledger',
  'rpc',
  'runtime',
  'schedule',
  'kube',
  'crds',
  'controllers',
  'observe',
];

/** Which folder of src/ may import which others. A folder may always import itself. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  cli: ALL,
  model: [],
  columns: ['model'],
  telemetry: ['model', 'columns'],
  plan: ['model', 'columns'],
  pxl: ['model', 'plan'],
  engine: ['model', 'columns', 'plan', 'telemetry'],
  tables: ['model', 'columns'],
  collector: ['model', 'columns', 'plan', 'engine', 'tables', 'rpc'],
  exporters: ['model', 'columns', 'telemetry'],
  ledger: ['model'],
  rpc: ['model', 'columns', 'plan'],
  runtime: ['model', 'columns', 'plan', 'pxl', 'engine', 'telemetry', 'rpc', 'exporters', 'ledger'],
  schedule: ['model'],
  kube: ['model'],
  crds: ['model'],
  controllers: ['model', 'schedule', 'crds', 'kube', 'rpc'],
  presets: [],
  observe: ['model'],
};

/** npm packages that only these folders may name; `cli` wires and may name none of them. */
const PACKAGES: Record<string, readonly string[]> = {
  'apache-arrow': ['columns'],
  '@grpc/grpc-js': ['exporters', 'rpc', 'observe'],
  '@opentelemetry/sdk-metrics': ['observe'],
  '@opentelemetry/sdk-trace': ['observe'],
  winston: ['observe'],
  '@kubernetes/client-node': ['kube'],
  undici: ['kube', 'exporters'],
  '@peculiar/x509': ['controllers'],
  '@lezer/python': ['pxl'],
  '@sinclair/typebox': ['crds'],
  'node:sqlite': ['ledger'],
};

const layerOf = (path: string): string => {
  const first = relative('src', path).split('/')[0] ?? '';
  return first.endsWith('.ts') ? 'cli' : first;
};

const files = globSync('src/**/*.ts');

const importsOf = (file: string): string[] =>
  [...readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1] ?? '');

test.each(files)('%s imports only folders that it may', (file) => {
  const layer = layerOf(file);
  const allowed = [layer, ...(MAY_IMPORT[layer] ?? [])];
  for (const specifier of importsOf(file)) {
    if (specifier.startsWith('.')) expect(allowed).toContain(layerOf(join(dirname(file), specifier)));
    const owners = PACKAGES[specifier];
    if (owners !== undefined) expect(owners).toContain(layer);
  }
});

test.each(files)('%s is no barrel and has at most 400 lines', (file) => {
  const text = readFileSync(file, 'utf8');
  expect(text).not.toMatch(/^export (\*|\{[^}]*\}) from /m);
  expect(text.split('\n').length).toBeLessThanOrEqual(400);
});
