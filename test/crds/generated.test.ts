// What is committed is what the generator makes, and it is what the rules of the field ask of a CRD.
import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { generatedFiles } from '../../scripts/generate-crds.ts';
import {
  definitionFault,
  DEFINITIONS,
  EXPECTED_SCHEMA_HASHES,
  SCHEMA_HASH_ANNOTATION,
  schemaHash,
} from '../../src/crds/definitions.ts';
import type { OpenApiSchema } from '../../src/crds/openapi.ts';

const files = generatedFiles();

test.each([...files.keys()])('T7 %s is what scripts/generate-crds.ts makes', (path) => {
  expect(readFileSync(join(import.meta.dirname, '../..', path), 'utf8')).toBe(files.get(path));
});

/** Every node below spec and status with its path. */
function nodesOf(schema: OpenApiSchema, path: string): [string, OpenApiSchema][] {
  const { properties = {}, items, additionalProperties: values } = schema;
  return [
    [path, schema],
    ...Object.entries(properties).flatMap(([name, child]) => nodesOf(child, `${path}.${name}`)),
    ...(items === undefined ? [] : nodesOf(items, `${path}[]`)),
    ...(typeof values === 'object' ? nodesOf(values, `${path}{}`) : []),
  ];
}

describe.each(
  DEFINITIONS.map((definition) => [definition.spec.versions[0]?.schema.openAPIV3Schema, definition] as const),
)('the definition of', (root, definition) => {
  const name = definition.metadata.name;
  const nodes = ['spec', 'status'].flatMap((part) => nodesOf(root?.properties?.[part] ?? {}, `.${part}`));

  test(`C1 ${name} types every node and leaves none open`, () => {
    for (const [path, node] of nodes) {
      expect([path, node.type]).toEqual([path, expect.stringMatching(/^(object|array|string|integer|boolean)$/)]);
      if (node.type === 'object') expect([path, node.properties ?? node.additionalProperties]).not.toContain(undefined);
    }
    expect(JSON.stringify(root)).not.toContain('preserve-unknown-fields');
  });

  test(`C2 ${name} bounds every text, list, map and number`, () => {
    for (const [
      path,
      { type, maxLength, enum: values, maxItems, additionalProperties, maxProperties, minimum },
    ] of nodes) {
      if (type === 'string' && values === undefined) expect([path, maxLength]).toEqual([path, expect.any(Number)]);
      if (type === 'array') expect([path, maxItems]).toEqual([path, expect.any(Number)]);
      if (additionalProperties !== undefined) expect([path, maxProperties]).toEqual([path, expect.any(Number)]);
      if (type === 'integer') expect([path, minimum]).toEqual([path, expect.any(Number)]);
    }
  });

  test(`C4 ${name} gives a parent with defaults below it a default of its own`, () => {
    for (const [path, node] of nodes) {
      for (const [child, { type, default: value, properties = {} }] of Object.entries(node.properties ?? {})) {
        const isDefaulted = Object.values(properties).some(({ default: own }) => own !== undefined);
        if (type !== 'object' || !isDefaulted || node.required?.includes(child) === true) continue;
        expect([`${path}.${child}`, value]).toEqual([`${path}.${child}`, {}]);
      }
    }
  });

  test(`C5 ${name} says how each list merges, and keys are required`, () => {
    for (const [path, node] of nodes) {
      if (node.type !== 'array') continue;
      expect([path, node['x-kubernetes-list-type']]).toEqual([path, expect.stringMatching(/^(map|set|atomic)$/)]);
      for (const key of node['x-kubernetes-list-map-keys'] ?? []) expect(node.items?.required).toContain(key);
    }
  });

  test(`C10 C11 C12 C13 ${name} has its names, columns, selectable fields and the status subresource`, () => {
    const [version] = definition.spec.versions;
    expect(definition.spec).toMatchObject({ scope: 'Namespaced', names: { categories: ['sluice'] } });
    expect(version?.subresources).toEqual({ status: {} });
    expect(version?.additionalPrinterColumns.filter((column) => !('priority' in column)).length).toBeLessThanOrEqual(8);
    expect(version?.selectableFields.length).toBeLessThanOrEqual(8);
  });

  test(`C15 ${name} is less than 200 KiB`, () => {
    const [, text = ''] = [...files].find(([path]) => path.endsWith(`${name.split('.')[0]}.yaml`)) ?? [];
    expect(Buffer.byteLength(text)).toBeGreaterThan(1000);
    expect(Buffer.byteLength(text)).toBeLessThan(200 * 1024);
    expect(parse(text)).toEqual(JSON.parse(JSON.stringify(definition)));
  });

  test(`C16 ${name} describes every field, with its default`, () => {
    for (const [path, { description = '', default: value }] of nodes) {
      expect([path, description]).toEqual([path, expect.stringMatching(/\S.*\.$/)]);
      if (value !== undefined && typeof value !== 'object')
        expect([path, description]).toEqual([path, expect.stringMatching(/Default /)]);
    }
  });

  test(`C17 ${name} carries the hash of its schema, by which another version is noticed`, () => {
    const hash = definition.metadata.annotations[SCHEMA_HASH_ANNOTATION];
    expect(hash).toBe(schemaHash(definition.spec));
    expect(EXPECTED_SCHEMA_HASHES[name]).toBe(hash);
    expect(schemaHash({ ...definition.spec, group: 'other' })).not.toBe(hash);
    expect(definitionFault(name, definition)).toBeUndefined();
    expect(definitionFault(name, undefined)).toMatch(/is not there/);
    expect(definitionFault(name, { metadata: {} })).toMatch(/another version/);
  });

  test(`C19 ${name} bridges the time before the operator's first write`, () => {
    expect(root?.properties?.['status']?.default).toEqual({ observedGeneration: -1 });
  });
});

test('a schema hash does not depend on the order of members', () => {
  expect(schemaHash({ a: 1, b: [{ c: 2, d: 3 }] })).toBe(schemaHash({ b: [{ d: 3, c: 2 }], a: 1 }));
});
