import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { readManifests } from '../../src/crds/manifest.ts';

const PLUGIN = `apiVersion: sluice.dev/v1alpha1
kind: OtelPlugin
metadata: { name: collector }
spec:
  destination:
    type: OTLPGRPC
    endpoint: otel:4317
`;
const SCRIPT = `apiVersion: sluice.dev/v1alpha1
kind: ExportScript
metadata:
  name: http
  namespace: shop
spec:
  pluginRef: { name: collector }
  script: { preset: http-metrics }
`;
const read = (text: string) => readManifests([{ file: 'a.yaml', text }]);

describe('manifests', () => {
  test('are completed with the documented defaults', () => {
    const { plugins, scripts, problems } = read(`${PLUGIN}---\n${SCRIPT}`);
    expect(problems).toEqual([]);
    expect(plugins[0]?.object.spec.destination).toMatchObject({ compression: 'gzip', timeout: '10s' });
    expect(plugins[0]?.namespace).toBe('default');
    expect(scripts[0]?.object.spec).toMatchObject({ window: '10s', timeout: '30s', maxRows: 100_000, suspend: false });
    expect(scripts[0]).toMatchObject({ namespace: 'shop', name: 'http' });
  });

  test('give an object the same uid in every process', () => {
    expect(read(SCRIPT).scripts[0]?.uid).toBe(read(SCRIPT).scripts[0]?.uid);
    expect(read(SCRIPT).scripts[0]?.uid).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
  });

  const bad: [string, string, { line: number; path: string; message: RegExp }][] = [
    [
      'an unknown field',
      PLUGIN.replace('endpoint:', 'endpont:'),
      { line: 7, path: 'spec.destination.endpont', message: /unknown field "endpont"; did you mean endpoint\?/ },
    ],
    ['a wrong type', SCRIPT + '  suspend: "yes"\n', { line: 9, path: 'spec.suspend', message: /must be boolean/ }],
    [
      'a value outside an enum',
      PLUGIN.replace('OTLPGRPC', 'OTLP'),
      { line: 6, path: 'spec.destination.type', message: /must be one of OTLPGRPC, OTLPHTTP/ },
    ],
    [
      'a missing field',
      SCRIPT.replace(/ {2}script:.*\n/, ''),
      { line: 6, path: 'spec', message: /field "script" is missing/ },
    ],
    [
      'two sources of a script',
      SCRIPT.replace('{ preset: http-metrics }', '{ preset: a, inline: b }'),
      { line: 8, path: 'spec.script', message: /exactly one of inline/ },
    ],
    [
      'a window that is no whole second',
      SCRIPT + '  window: 1500ms\n',
      { line: 9, path: 'spec.window', message: /whole seconds/ },
    ],
    [
      'a misspelt kind of ours',
      PLUGIN.replace('OtelPlugin', 'OtelPlugins'),
      { line: 2, path: 'kind', message: /unknown kind "OtelPlugins"/ },
    ],
    ['broken YAML', PLUGIN.replace('{ name: collector }', '{ name: collector'), { line: 4, path: '', message: /./ }],
    [
      'the same object twice',
      `${PLUGIN}---\n${PLUGIN}`,
      { line: 11, path: 'metadata.name', message: /already defined in a\.yaml:1/ },
    ],
    [
      'an endpoint with user information',
      PLUGIN.replace('otel:4317', 'me:pw@otel:4317'),
      { line: 7, path: 'spec.destination.endpoint', message: /user information/ },
    ],
    [
      'plain authorization',
      PLUGIN + '    headers: [{ name: Authorization, value: x }]\n',
      { line: 8, path: 'spec.destination.headers', message: /must come from a Secret/ },
    ],
    [
      'a reserved header',
      PLUGIN + '    headers: [{ name: Grpc-Timeout, value: x }]\n',
      { line: 8, path: 'spec.destination.headers', message: /of the transport cannot be given/ },
    ],
  ];
  test.each(bad)('with %s name file, line, path and what is allowed', (_, text, want) => {
    const { problems } = read(text);
    expect(problems).toContainEqual(
      expect.objectContaining({ file: 'a.yaml', path: want.path, message: expect.stringMatching(want.message) }),
    );
    expect(problems.map((problem) => problem.line)).toContain(want.line);
  });

  test('that are wrong do not hide the others', () => {
    const { plugins, scripts, problems } = read(
      `${PLUGIN}---\n${SCRIPT.replace('window', 'x')}  windw: 10s\n---\n${SCRIPT.replace('http\n', 'other\n')}`,
    );
    expect(problems).toHaveLength(1);
    expect(plugins).toHaveLength(1);
    expect(scripts.map(({ name }) => name)).toEqual(['other']);
  });

  test('of Secrets and ConfigMaps are decoded', () => {
    const { keyValues } = read(
      'apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: aGk=}\nstringData: {b: there}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {script: "x"}\n',
    );
    const texts = keyValues.map(({ values }) =>
      [...values].map(([key, value]) => `${key}=${Buffer.from(value).toString()}`),
    );
    expect(texts).toEqual([['a=hi', 'b=there'], ['script=x']]);
  });

  test('of any text never throw', () => {
    fc.assert(
      fc.property(fc.string(), fc.nat(PLUGIN.length), (noise, at) => {
        const { problems } = read(PLUGIN.slice(0, at) + noise + PLUGIN.slice(at));
        for (const problem of problems) expect(problem.line).toBeGreaterThan(0);
      }),
    );
  });
});
