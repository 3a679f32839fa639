// The tables of cases against our own validation, and that they leave nothing out. test/cluster/crds.test.ts runs the same
// cases through a real API server.
import { describe, expect, test } from '@jest/globals';
import { DEFINITIONS } from '../../src/crds/definitions.ts';
import type { OpenApiSchema } from '../../src/crds/openapi.ts';
import { validateExportScript, validateOtelPlugin } from '../../src/crds/validate.ts';
import type { Case, Manifest } from './case.ts';
import { MUTATIONS } from './mutations.ts';
import { PLUGIN_CASES } from './plugin-cases.ts';
import { SCRIPT_CASES } from './script-cases.ts';

const validate = (manifest: Manifest) =>
  manifest.kind === 'OtelPlugin' ? validateOtelPlugin(manifest) : validateExportScript(manifest);

describe('T7 our own validation', () => {
  test.each([...PLUGIN_CASES, ...SCRIPT_CASES, ...MUTATIONS])('$title', ({ manifest, isAccepted, message }) => {
    const result = validate(manifest);
    const problems = result.ok ? [] : result.problems;
    expect([result.ok, problems]).toEqual([isAccepted, isAccepted ? [] : expect.anything()]);
    if (message !== undefined) expect(problems.map((problem) => problem.message)).toContain(message);
  });

  test('does not change what it was given', () => {
    const manifest = SCRIPT_CASES[0]?.manifest;
    const before = JSON.stringify(manifest);
    if (manifest !== undefined) validateExportScript(manifest);
    expect(JSON.stringify(manifest)).toBe(before);
  });
});

const BOUNDS = ['pattern', 'minLength', 'maxLength', 'minimum', 'maximum', 'maxItems', 'maxProperties'] as const;

/** Everything that a schema bounds, as `Case.covers` names it. */
function boundsOf(schema: OpenApiSchema, path: string): string[] {
  const { properties = {}, items, additionalProperties: values } = schema;
  const listType = schema['x-kubernetes-list-type'];
  const rules = (schema['x-kubernetes-validations'] ?? []).map((rule) => String(Reflect.get(rule, 'message')));
  return [
    ...BOUNDS.filter((key) => schema[key] !== undefined).map((key) => `${path} ${key}`),
    ...(schema.enum ?? []).map((value) => `${path} enum ${String(value)}`),
    ...(listType === undefined ? [] : [`${path} ${listType}`]),
    ...rules,
    ...Object.entries(properties).flatMap(([name, child]) => boundsOf(child, `${path}/${name}`)),
    ...(items === undefined ? [] : boundsOf(items, `${path}/*`)),
    ...(typeof values === 'object' ? boundsOf(values, `${path}/*`) : []),
  ];
}

test.each([
  ['otelplugins', PLUGIN_CASES],
  ['exportscripts', SCRIPT_CASES],
] as const)(
  'T7 every enum value, bound and rule of %s has a case that is taken and one that is refused',
  (plural, cases) => {
    const schema = DEFINITIONS.find(({ metadata }) => metadata.name.startsWith(plural))?.spec.versions[0]?.schema;
    const spec = schema?.openAPIV3Schema.properties?.['spec'] ?? {};
    const bounds = boundsOf(spec, '');
    expect(bounds.length).toBeGreaterThan(20);
    const covered = (covers: string, isAccepted: boolean): Case[] =>
      cases.filter((one) => one.covers === covers && one.isAccepted === isAccepted);
    const missing = bounds.filter((bound) => {
      const [, node = '', value = ''] = /^(.*) enum (.*)$/.exec(bound) ?? [];
      if (node === '') return covered(bound, true).length === 0 || covered(bound, false).length === 0;
      const taken = covered(`${node} enum`, true).some(({ manifest }) =>
        JSON.stringify(manifest).includes(`"${value}"`),
      );
      return !taken || covered(`${node} enum`, false).length === 0;
    });
    expect(missing).toEqual([]);
    for (const isAccepted of [true, false]) expect(covered('metadata.name', isAccepted)).toHaveLength(1);
  },
);
