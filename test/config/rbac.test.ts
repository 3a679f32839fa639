// config/rbac against the rights that the code knows of.
import { globSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { RIGHTS, type Rule } from '../../src/controllers/workloads/rights.ts';

interface RbacObject {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Record<string, string> };
  readonly rules?: readonly Rule[];
  readonly roleRef?: { readonly kind: string; readonly name: string };
  readonly subjects?: readonly { readonly kind: string; readonly name: string; readonly namespace: string }[];
}

const objectsIn = (pattern: string): RbacObject[] =>
  globSync(pattern).flatMap((file) =>
    parseAllDocuments(readFileSync(file, 'utf8')).map((document) => document.toJS() as RbacObject),
  );
const objects = objectsIn('config/rbac/*.yaml');
const roles = objects.filter(({ kind }) => kind === 'Role' || kind === 'ClusterRole');
const PEOPLE = ['sluice-viewer', 'sluice-editor', 'sluice-admin'];

test('X1–X6: the roles are those that the operator looks for, to the letter', () => {
  const rules = Object.fromEntries(
    roles.filter(({ metadata }) => !PEOPLE.includes(metadata.name)).map((role) => [role.metadata.name, role.rules]),
  );
  expect(rules).toEqual(RIGHTS);
});

test('X3: a role for a namespace is a Role there, and each is bound to the account that it is for', () => {
  for (const { kind, roleRef, subjects } of objects.filter(({ kind }) => kind.endsWith('Binding'))) {
    const name = roleRef?.name ?? '';
    const role = roles.find((one) => one.kind === roleRef?.kind && one.metadata.name === name);
    expect(role).toBeDefined();
    expect(kind).toBe(`${role?.kind ?? ''}Binding`);
    const [component = ''] = /operator|runtime|collector/.exec(name) ?? [];
    expect(subjects).toEqual([{ kind: 'ServiceAccount', name: `sluice-${component}`, namespace: 'sluice-system' }]);
  }
  const bound = objects.flatMap(({ roleRef }) => roleRef?.name ?? []);
  expect(bound.sort()).toEqual(Object.keys(RIGHTS).sort());
});

describe('X7', () => {
  test.each(roles.map((role) => [role.metadata.name, role.kind, role.rules ?? []] as const))(
    '%s (%s) has nothing that leads to more',
    (name, kind, rules) => {
      for (const { apiGroups, resources, resourceNames, verbs } of rules) {
        expect([...apiGroups, ...resources, ...verbs]).not.toContain('*');
        for (const verb of ['escalate', 'bind', 'impersonate']) expect(verbs).not.toContain(verb);
        for (const resource of resources) {
          expect(resource).not.toMatch(/^(pods\/.*|nodes\/.*|serviceaccounts.*|.*roles|.*rolebindings|.*webhook.*)$/);
          if (kind === 'ClusterRole') expect(resource).not.toBe('secrets');
        }
        // writing needs a name, but where a POST or an event has none
        const writes = verbs.filter((verb) => !['get', 'list', 'watch'].includes(verb));
        const isOurKind = apiGroups.includes('sluice.dev');
        const isKnown =
          isOurKind || resources.includes('events') || resources.includes('pods') || verbs.join() === 'create';
        if (writes.length > 0 && !isKnown)
          expect([name, resources, resourceNames]).toEqual([name, resources, expect.any(Array)]);
      }
    },
  );

  test('the one component that opens all Secrets says what that means, and only reads', () => {
    const [role] = objectsIn('config/components/cluster-secrets/role.yaml');
    expect(role?.rules).toEqual([{ apiGroups: [''], resources: ['secrets'], verbs: ['get', 'list', 'watch'] }]);
    expect(readFileSync('config/components/cluster-secrets/kustomization.yaml', 'utf8')).toMatch(/EVERY Secret/);
  });
});

test('only the viewer is aggregated', () => {
  const aggregated = roles.flatMap(({ metadata }) =>
    Object.keys(metadata.labels ?? {})
      .filter((label) => label.includes('aggregate-to'))
      .map((label) => `${metadata.name} ${label}`),
  );
  expect(aggregated).toEqual(['sluice-viewer rbac.authorization.k8s.io/aggregate-to-view']);
});
