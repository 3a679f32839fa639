// The client's verbs, asked of a real API server.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKubeClient, userAgent, type OpenKubeClient } from '../../src/kube/client.ts';
import { loadKubeAccess } from '../../src/kube/config.ts';
import {
  CONFIG_MAPS,
  CUSTOM_RESOURCE_DEFINITIONS,
  ENDPOINT_SLICES,
  NAMESPACES,
  SECRETS,
  type ConfigMap,
  type EndpointSlice,
} from '../../src/kube/resources.ts';
import {
  ApiError,
  isConflict,
  isForbidden,
  isNotFound,
  type KubeObject,
  type ResourceType,
} from '../../src/kube/types.ts';
import { clusterMissing } from '../cluster/binaries.ts';
import { startControlPlane, type ControlPlane } from '../cluster/control-plane.ts';
import { waitFor } from '../cluster/instance.ts';
import { startFaultProxy, type FaultProxy } from './fault-proxy.ts';

interface Widget extends KubeObject {
  readonly spec?: {
    readonly size?: number;
    readonly tags?: readonly { readonly name: string; readonly value: string }[];
  };
  readonly status?: { readonly phase?: string };
}
const WIDGETS: ResourceType<Widget> = {
  group: 'test.sluice.dev',
  version: 'v1',
  plural: 'widgets',
  kind: 'Widget',
  namespaced: true,
};
const definition = {
  metadata: { name: 'widgets.test.sluice.dev' },
  spec: {
    group: 'test.sluice.dev',
    scope: 'Namespaced',
    names: { plural: 'widgets', kind: 'Widget' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                properties: {
                  size: { type: 'integer', maximum: 10 },
                  tags: {
                    type: 'array',
                    'x-kubernetes-list-type': 'map',
                    'x-kubernetes-list-map-keys': ['name'],
                    items: {
                      type: 'object',
                      required: ['name'],
                      properties: { name: { type: 'string' }, value: { type: 'string' } },
                    },
                  },
                },
              },
              status: { type: 'object', properties: { phase: { type: 'string' } } },
            },
          },
        },
      },
    ],
  },
};
const NS = 'default';
const as = (fieldManager: string): { fieldManager: string } => ({ fieldManager });
const map = (name: string, data: Record<string, string> = {}): ConfigMap => ({
  metadata: { namespace: NS, name },
  data,
});

const describeCluster = clusterMissing === undefined ? describe : describe.skip;

describeCluster('the client', () => {
  let plane: ControlPlane;
  let proxy: FaultProxy;
  let client: OpenKubeClient;
  const opened: OpenKubeClient[] = [];

  const open = async (kubeconfig: string, component = 'test'): Promise<OpenKubeClient> => {
    const one = openKubeClient(await loadKubeAccess({ kubeconfig }), {
      purpose: 'main',
      userAgent: userAgent(component, '9.9'),
    });
    opened.push(one);
    return one;
  };

  beforeAll(async () => {
    plane = await startControlPlane({ name: 'client', controllerManager: false });
    proxy = await startFaultProxy(plane.kubeconfig);
    client = await open(plane.kubeconfig);
    await client.create(CUSTOM_RESOURCE_DEFINITIONS, definition, as('test'));
    await waitFor('the definition', () => client.list(WIDGETS, { namespace: NS }).then(() => true), 30_000);
  }, 600_000);
  afterAll(async () => {
    for (const one of opened) await one.close();
    await proxy?.stop();
    await plane?.stop();
  });

  const failure = async (call: Promise<unknown>): Promise<ApiError> => {
    const error: unknown = await call.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof ApiError)) throw new Error('no ApiError', { cause: error });
    return error;
  };

  test('creates, reads, replaces and deletes; what it says is what kubectl sees', async () => {
    const made = await client.create(CONFIG_MAPS, map('one', { a: 'ä€😀' }), as('sluice'));
    expect(made).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap', data: { a: 'ä€😀' } });
    expect(JSON.parse(await plane.kubectl(['get', 'configmap', 'one', '-o', 'json', '--show-managed-fields']))).toEqual(
      made,
    );
    expect(await client.get(CONFIG_MAPS, NS, 'one')).toEqual(made);
    const replaced = await client.update(CONFIG_MAPS, { ...made, data: { b: '2' } }, as('sluice'));
    expect(replaced.data).toEqual({ b: '2' });
    await client.delete(
      CONFIG_MAPS,
      NS,
      'one',
      replaced.metadata.uid === undefined ? {} : { uid: replaced.metadata.uid },
    );
    const gone = await failure(client.get(CONFIG_MAPS, NS, 'one'));
    expect([isNotFound(gone), gone.reason, gone.message]).toEqual([true, 'NotFound', 'configmaps "one" not found']);
  });

  test('409: the name is taken, the version is old, it is another object', async () => {
    const made = await client.create(CONFIG_MAPS, map('taken'), as('sluice'));
    expect(await failure(client.create(CONFIG_MAPS, map('taken'), as('sluice')))).toMatchObject({
      reason: 'AlreadyExists',
    });
    await client.update(CONFIG_MAPS, { ...made, data: { changed: 'yes' } }, as('sluice'));
    const stale = await failure(client.update(CONFIG_MAPS, { ...made, data: {} }, as('sluice')));
    expect([isConflict(stale), stale.reason]).toEqual([true, 'Conflict']);
    const other = { uid: '00000000-0000-0000-0000-000000000000' };
    expect(isConflict(await failure(client.delete(CONFIG_MAPS, NS, 'taken', other)))).toBe(true);
    const version = { resourceVersion: made.metadata.resourceVersion ?? '' };
    expect(isConflict(await failure(client.delete(CONFIG_MAPS, NS, 'taken', version)))).toBe(true);
    await client.delete(CONFIG_MAPS, NS, 'taken');
  });

  test('422: what the schema forbids, with the reason of the API server', async () => {
    const error = await failure(
      client.create(WIDGETS, { metadata: { namespace: NS, name: 'big' }, spec: { size: 11 } }, as('sluice')),
    );
    expect(error).toMatchObject({ status: 422, reason: 'Invalid' });
    expect(error.message).toContain('spec.size');
    const strange = await failure(client.create(CONFIG_MAPS, map('No Name!'), as('sluice')));
    expect(strange.status).toBe(422);
    expect(Buffer.byteLength(strange.message)).toBeLessThanOrEqual(512);
  });

  test('server-side apply: each manager has its own fields, and takes what it wants', async () => {
    const widget = (...tags: [string, string][]): Widget => ({
      metadata: { namespace: NS, name: 'shared' },
      spec: { tags: tags.map(([name, value]) => ({ name, value })) },
    });
    await client.apply(WIDGETS, widget(['a', '1'], ['b', '1']), as('sluice'));
    const both = await client.apply(WIDGETS, widget(['b', '2'], ['c', '2']), as('other'));
    expect(both.spec?.tags).toEqual([
      { name: 'a', value: '1' },
      { name: 'b', value: '2' },
      { name: 'c', value: '2' },
    ]);
    const { managedFields } = both.metadata as unknown as { managedFields: { manager: string; operation: string }[] };
    expect(managedFields.map(({ manager, operation }) => `${manager} ${operation}`).toSorted()).toEqual([
      'other Apply',
      'sluice Apply',
    ]);
    // what it does not want any more goes, what others want stays
    const left = await client.apply(WIDGETS, widget(), as('sluice'));
    expect(left.spec?.tags).toEqual([
      { name: 'b', value: '2' },
      { name: 'c', value: '2' },
    ]);
    // nothing new is no new version
    const again = await client.apply(WIDGETS, widget(['b', '2'], ['c', '2']), as('other'));
    expect(again.metadata.resourceVersion).toBe(left.metadata.resourceVersion);
  });

  test('the status is a subresource of its own: it leaves spec alone and does not raise the generation', async () => {
    const made = await client.apply(
      WIDGETS,
      { metadata: { namespace: NS, name: 's' }, spec: { size: 1 } },
      as('sluice'),
    );
    const status = { metadata: { namespace: NS, name: 's' }, spec: { size: 9 }, status: { phase: 'Up' } };
    const after = await client.apply(WIDGETS, status, { ...as('sluice-status'), subresource: 'status' });
    expect([after.spec?.size, after.status?.phase, after.metadata.generation]).toEqual([
      1,
      'Up',
      made.metadata.generation,
    ]);
    const operations = [
      { op: 'test', path: '/status/phase', value: 'Up' },
      { op: 'replace', path: '/status/phase', value: 'Down' },
    ];
    const patch = { ...as('sluice-status'), subresource: 'status' as const };
    expect((await client.patchJson(WIDGETS, NS, 's', operations, patch)).status).toEqual({ phase: 'Down' });
    const refused = await failure(client.patchJson(WIDGETS, NS, 's', operations, patch));
    expect(refused.status).toBe(422);
    // through the main resource a status is not written
    const main = await client.apply(WIDGETS, status, as('third'));
    expect([main.spec?.size, main.status?.phase]).toEqual([9, 'Down']);
  });

  test('a dry run says what would be and leaves nothing', async () => {
    const dry = { ...as('sluice'), dryRun: true };
    const made = await client.create(CONFIG_MAPS, map('dry'), dry);
    expect(made.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
    await client.apply(CONFIG_MAPS, map('dry', { a: '1' }), dry);
    expect(isNotFound(await failure(client.get(CONFIG_MAPS, NS, 'dry')))).toBe(true);
  });

  test('lists in pages, by label, by field, all namespaces, metadata alone', async () => {
    await client.create(NAMESPACES, { metadata: { name: 'pages' } }, as('sluice'));
    const names = Array.from({ length: 7 }, (_, index) => `page-${index}`);
    for (const name of names) {
      const labels = { parity: Number(name.at(-1)) % 2 === 0 ? 'even' : 'odd' };
      const object = { metadata: { namespace: 'pages', name, labels }, data: { text: 'x' } };
      await client.create(CONFIG_MAPS, object, as('sluice'));
    }
    const found: string[] = [];
    let token: string | undefined;
    let pages = 0;
    do {
      const page = await client.list(CONFIG_MAPS, {
        namespace: 'pages',
        limit: 3,
        ...(token === undefined ? {} : { continue: token }),
      });
      found.push(...page.items.map(({ metadata }) => metadata.name));
      token = page.continue;
      pages++;
    } while (token !== undefined);
    expect([found, pages]).toEqual([names, 3]);
    const list = async (options: object): Promise<string[]> =>
      (await client.list(CONFIG_MAPS, options)).items.map(({ metadata }) => metadata.name);
    expect(await list({ namespace: 'pages', labelSelector: 'parity in (odd)' })).toEqual([
      'page-1',
      'page-3',
      'page-5',
    ]);
    expect(await list({ namespace: 'pages', fieldSelector: 'metadata.name=page-4' })).toEqual(['page-4']);
    expect(await list({ labelSelector: 'parity' })).toEqual(names);
    const [bare] = (await client.list(CONFIG_MAPS, { namespace: 'pages', metadataOnly: true })).items;
    expect([bare?.metadata.labels, bare?.data]).toEqual([{ parity: 'even' }, undefined]);
    const secrets = await client.list(SECRETS, { namespace: 'pages' });
    expect([secrets.items, secrets.continue]).toEqual([[], undefined]);
  });

  test('finds the pods of a service by its slices', async () => {
    const slice: EndpointSlice = {
      metadata: { namespace: NS, name: 'svc-1', labels: { 'kubernetes.io/service-name': 'svc' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: ['10.1.2.3'], conditions: { ready: true }, nodeName: 'n1' }],
      ports: [{ name: 'flight', port: 7444, protocol: 'TCP' }],
    };
    await client.create(ENDPOINT_SLICES, slice, as('sluice'));
    const { items } = await client.list(ENDPOINT_SLICES, { labelSelector: 'kubernetes.io/service-name=svc' });
    expect(items).toMatchObject([{ endpoints: slice.endpoints, ports: slice.ports }]);
  });

  test('as a service account it may what its role says; 403 names what it may not', async () => {
    await plane.kubectl(['create', 'serviceaccount', 'reader', '-n', NS]);
    await plane.kubectl(['create', 'role', 'reader', '-n', NS, '--verb=get', '--resource=configmaps']);
    await plane.kubectl([
      'create',
      'rolebinding',
      'reader',
      '-n',
      NS,
      '--role=reader',
      `--serviceaccount=${NS}:reader`,
    ]);
    await client.create(CONFIG_MAPS, map('readable', { a: '1' }), as('sluice'));
    const token = (await plane.kubectl(['create', 'token', 'reader', '-n', NS])).trim();
    const direct = await open(await plane.tokenKubeconfig(NS, 'reader'), 'reader');
    const proxied = await open(proxy.kubeconfig(join(plane.dir, 'proxied.conf'), token), 'reader-proxied');
    for (const reader of [direct, proxied]) {
      expect((await reader.get(CONFIG_MAPS, NS, 'readable')).data).toEqual({ a: '1' });
      const refused = await failure(reader.list(SECRETS, { namespace: NS }));
      expect([isForbidden(refused), refused.reason]).toEqual([true, 'Forbidden']);
      expect(refused.message).toContain(`User "system:serviceaccount:${NS}:reader" cannot list resource "secrets"`);
    }
    const event = await plane.auditEvent(
      ({ userAgent }) => userAgent?.startsWith('sluice-reader/9.9 (linux/') === true,
    );
    expect(event.user.username).toBe(`system:serviceaccount:${NS}:reader`);
  });

  test('requests outside of kinds', async () => {
    expect(await client.raw('GET', '/version')).toMatchObject({ major: '1' });
    const review = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes: { verb: 'list', resource: 'secrets' } },
    };
    const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
    expect(await client.raw('POST', path, review)).toMatchObject({ status: { allowed: true } });
    expect((await failure(client.raw('GET', '/apis/no.such.group/v1'))).status).toBe(404);
  });

  test('names that are no names never reach another path', async () => {
    for (const name of ['', '.', '..']) {
      await expect(client.get(CONFIG_MAPS, NS, name)).rejects.toThrow('is no name of an object');
    }
    expect(isNotFound(await failure(client.get(CONFIG_MAPS, NS, '../secrets/x?y#z')))).toBe(true);
    await expect(client.get(CONFIG_MAPS, undefined, 'x')).rejects.toThrow('needs a namespace');
  });

  describe('through a bad connection', () => {
    let shaky: OpenKubeClient;
    beforeAll(async () => {
      shaky = await open(proxy.kubeconfig(join(plane.dir, 'proxy.conf')));
    });

    test('R34: what the API server did though its answer was lost is not done twice', async () => {
      proxy.inject({ resource: 'configmaps', fault: { kind: 'lose-answer' }, times: 3 });
      const applied = await shaky.apply(CONFIG_MAPS, map('lost', { a: '1' }), as('sluice'));
      expect(applied.data).toEqual({ a: '1' });
      proxy.heal();
      proxy.inject({ verb: 'create', fault: { kind: 'lose-answer' }, times: 1 });
      expect(await failure(shaky.create(CONFIG_MAPS, map('lost-too'), as('sluice')))).toMatchObject({
        reason: 'AlreadyExists',
      });
      expect((await client.get(CONFIG_MAPS, NS, 'lost-too')).metadata.name).toBe('lost-too');
      proxy.inject({ verb: 'delete', fault: { kind: 'lose-answer' }, times: 1 });
      await shaky.delete(CONFIG_MAPS, NS, 'lost-too');
      expect(isNotFound(await failure(client.get(CONFIG_MAPS, NS, 'lost-too')))).toBe(true);
      proxy.heal();
    });

    test('R34: overload, cut answers and resets of a read pass unseen', async () => {
      const names = Array.from({ length: 12 }, (_, index) => `shaky-${index}`);
      // each hits at most one of five attempts that follow each other, so that one of the five gets through
      proxy.inject({ every: 5, fault: { kind: 'reset' } });
      proxy.inject({ every: 5, fault: { kind: 'cut', afterBytes: 40 } });
      proxy.inject({ every: 6, fault: { kind: 'answer', status: 503, body: 'upstream connect error' } });
      proxy.inject({ every: 7, fault: { kind: 'answer', status: 429, headers: { 'retry-after': '0' } } });
      for (const name of names) await shaky.apply(CONFIG_MAPS, map(name, { name }), as('sluice'));
      for (const name of names) expect((await shaky.get(CONFIG_MAPS, NS, name)).data).toEqual({ name });
      proxy.heal();
      expect(proxy.seen.length).toBeGreaterThan(24);
    });

    test('an answer of somebody else is an error that says whose', async () => {
      proxy.inject({ fault: { kind: 'answer', status: 401, body: '<html><body>Please log in</body></html>' } });
      expect(await failure(shaky.get(CONFIG_MAPS, NS, 'x'))).toMatchObject({
        status: 401,
        reason: '',
        message: 'HTTP 401: Please log in',
      });
      proxy.heal();
    });
  });
});
