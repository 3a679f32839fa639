// What is in config/ on a real API server: it applies, changes nothing the second time, passes pod security, gives exactly
// the rights that it should, and goes away again.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { collectorDaemonSet } from '../../src/controllers/workloads/collector.ts';
import type { Child } from '../../src/controllers/workloads/objects.ts';
import { missingRights, RIGHTS, type Rule } from '../../src/controllers/workloads/rights.ts';
import { runtimeStatefulSet } from '../../src/controllers/workloads/runtime.ts';
import { loadKubeAccess } from '../../src/kube/config.ts';
import { openKubeClient, type OpenKubeClient } from '../../src/kube/client.ts';
import { inputsOf } from '../controllers/workloads/inputs.ts';
import { clusterMissing } from './binaries.ts';
import { startControlPlane, type ControlPlane } from './control-plane.ts';
import { waitFor } from './instance.ts';

const describeCluster = clusterMissing === undefined ? describe : describe.skip;
const NAMESPACE = 'sluice-system';

interface PodTemplate {
  readonly metadata: object;
  readonly spec: object;
}
const templateOf = (workload: object): PodTemplate => (workload as { spec: { template: PodTemplate } }).spec.template;

describeCluster('an installation', () => {
  let plane: ControlPlane;
  const clients: OpenKubeClient[] = [];
  const clientOf = async (kubeconfig: string): Promise<OpenKubeClient> => {
    const access = await loadKubeAccess({ kubeconfig });
    const client = openKubeClient(access, { purpose: 'main', userAgent: 'sluice-test' });
    clients.push(client);
    return client;
  };
  beforeAll(async () => {
    plane = await startControlPlane({ name: 'install' });
    await plane.kubectl(['apply', '-k', 'config/default']);
  }, 600_000);
  afterAll(async () => {
    for (const client of clients) await client.close();
    await plane?.stop();
  });

  test('G1: is there after one apply, and a diff right after is empty', async () => {
    // kubectl diff ends with 1 where there is a difference
    expect(await plane.kubectl(['diff', '-k', 'config/default'])).toBe('');
    // (a PodDisruptionBudget is "configured" by every kubectl apply, which patches its selector with itself)
    const versions = async (): Promise<string> =>
      plane.kubectl([
        'get',
        '-k',
        'config/default',
        '-o',
        'jsonpath={range .items[*]}{.kind} {.metadata.resourceVersion} {end}',
      ]);
    const before = await versions();
    await plane.kubectl(['apply', '-k', 'config/default']);
    expect(await versions()).toBe(before);
  });

  test('X11, X12: the operator and the runtime pass pod security `restricted`, the collector only `privileged`', async () => {
    await plane.kubectl(['create', 'namespace', 'strict']);
    await plane.kubectl(['label', 'namespace', 'strict', 'pod-security.kubernetes.io/enforce=restricted']);
    for (const account of ['operator', 'runtime', 'collector'])
      await plane.kubectl(['create', 'serviceaccount', `sluice-${account}`, '-n', 'strict']);
    const operator: unknown = JSON.parse(
      await plane.kubectl(['get', 'deployment', 'sluice-operator', '-n', NAMESPACE, '-o', 'json']),
    );
    const create = (namespace: string, name: string, workload: object): Promise<string> =>
      plane.kubectl(['create', '--dry-run=server', '-f', '-'], {
        input: { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace }, spec: templateOf(workload).spec },
      });
    const inputs = inputsOf();
    await create('strict', 'operator', operator as object);
    await create('strict', 'runtime', runtimeStatefulSet(inputs, 1));
    await expect(create('strict', 'collector', collectorDaemonSet(inputs))).rejects.toThrow(
      /violates PodSecurity "restricted:latest".*hostPID/s,
    );
    await create(NAMESPACE, 'collector', collectorDaemonSet(inputs));
    await create(NAMESPACE, 'collector', collectorDaemonSet(inputsOf('collector: {libraryDiscovery: true}')));
  });

  // what every service account may, whoever it is
  const isEverybodys = ({ apiGroups, resources }: Rule): boolean =>
    apiGroups.some((group) => group === 'authorization.k8s.io' || group === 'authentication.k8s.io') &&
    resources.every((resource) => resource.startsWith('selfsubject'));

  const flat = (rules: readonly Rule[]): string[] =>
    rules
      .filter((rule) => !isEverybodys(rule))
      .flatMap(({ apiGroups, resources, resourceNames = ['*'], verbs }) =>
        apiGroups.flatMap((group) =>
          resources.flatMap((resource) =>
            resourceNames.flatMap((name) => verbs.map((verb) => `${verb} ${group}/${resource} ${name}`)),
          ),
        ),
      )
      .sort();

  const rulesIn = async (account: string, namespace: string): Promise<string[]> => {
    const client = await clientOf(await plane.tokenKubeconfig(NAMESPACE, account));
    const answer = (await client.raw('POST', '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectRulesReview',
      spec: { namespace },
    })) as { status: { resourceRules: readonly Rule[] } };
    return flat(answer.status.resourceRules);
  };

  test.each([
    [
      'sluice-operator',
      [
        ...RIGHTS['sluice-operator-watched'],
        ...RIGHTS['sluice-operator-cluster'],
        ...RIGHTS['sluice-operator'],
        ...RIGHTS['sluice-operator-leader'],
      ],
      [...RIGHTS['sluice-operator-watched'], ...RIGHTS['sluice-operator-cluster']],
    ],
    ['sluice-runtime', RIGHTS['sluice-runtime'], []],
    ['sluice-collector', RIGHTS['sluice-collector'], RIGHTS['sluice-collector']],
  ] as const)(
    'X1–X7: %s may what it should and nothing else, at home and elsewhere',
    async (account, home, elsewhere) => {
      const unique = (rules: readonly Rule[]): string[] => [...new Set(flat(rules))];
      expect([...new Set(await rulesIn(account, NAMESPACE))]).toEqual(unique(home));
      expect([...new Set(await rulesIn(account, 'default'))]).toEqual(unique(elsewhere));
    },
  );

  test.each([
    ['sluice-operator', 'get secrets -n default', false],
    ['sluice-operator', 'list secrets --all-namespaces', false],
    ['sluice-operator', 'get secrets/sluice-ca -n sluice-system', true],
    ['sluice-operator', 'patch secrets/another -n sluice-system', false],
    ['sluice-operator', 'delete secrets/sluice-ca -n sluice-system', false],
    ['sluice-operator', 'create pods --subresource=exec -n sluice-system', false],
    ['sluice-operator', 'create pods -n sluice-system', false],
    ['sluice-operator', 'delete pods -n default', false],
    ['sluice-operator', 'patch daemonsets.apps/another -n sluice-system', false],
    ['sluice-operator', 'patch daemonsets.apps/sluice-collector -n default', false],
    ['sluice-operator', 'update exportscripts.sluice.dev -n default', false],
    ['sluice-operator', 'create otelplugins.sluice.dev -n default', false],
    ['sluice-operator', 'patch customresourcedefinitions.apiextensions.k8s.io/otelplugins.sluice.dev', false],
    ['sluice-operator', 'escalate clusterroles.rbac.authorization.k8s.io', false],
    ['sluice-operator', 'create serviceaccounts --subresource=token -n sluice-system', false],
    ['sluice-operator', 'get nodes --subresource=proxy', false],
    ['sluice-collector', 'get secrets -n sluice-system', false],
    ['sluice-collector', 'patch pods -n sluice-system', false],
    ['sluice-collector', 'list nodes', false],
    ['sluice-runtime', 'get secrets/sluice-runtime-tls -n sluice-system', false],
    ['sluice-runtime', 'list pods -n default', false],
    ['sluice-runtime', 'list exportscripts.sluice.dev -n sluice-system', false],
  ] as const)('X7, X8: %s: %s: %j', async (account, question, isAllowed) => {
    const as = ['--as', `system:serviceaccount:${NAMESPACE}:${account}`];
    const answer = plane.kubectl(['auth', 'can-i', ...question.split(' '), ...as]).then(
      () => true,
      () => false,
    );
    expect(await answer).toBe(isAllowed);
  });

  test('people: view sees both kinds, edit changes neither, the editor changes scripts only', async () => {
    const can = (user: string, question: string): Promise<boolean> =>
      plane.kubectl(['auth', 'can-i', ...question.split(' '), '-n', 'default', '--as', user]).then(
        () => true,
        () => false,
      );
    for (const role of ['view', 'edit', 'sluice-editor', 'sluice-admin'])
      await plane.kubectl([
        'create',
        'rolebinding',
        `of-${role}`,
        '-n',
        'default',
        '--clusterrole',
        role,
        '--user',
        role,
      ]);
    // the controller that aggregates needs a moment
    await waitFor('the aggregated role', () => can('view', 'get exportscripts.sluice.dev'), 30_000);
    expect(await can('edit', 'create exportscripts.sluice.dev')).toBe(false);
    expect(await can('sluice-editor', 'patch exportscripts.sluice.dev')).toBe(true);
    expect(await can('sluice-editor', 'patch otelplugins.sluice.dev')).toBe(false);
    expect(await can('sluice-editor', 'patch exportscripts.sluice.dev --subresource=status')).toBe(false);
    expect(await can('sluice-admin', 'create otelplugins.sluice.dev')).toBe(true);
  });

  test('the operator knows what it may, and names what it may not', async () => {
    const client = await clientOf(await plane.tokenKubeconfig(NAMESPACE, 'sluice-operator'));
    expect(await missingRights(client, NAMESPACE, [])).toEqual([]);
    await plane.kubectl(['delete', 'rolebinding', 'sluice-operator', '-n', NAMESPACE]);
    const missing = await missingRights(client, NAMESPACE, []);
    expect(missing).toContain('patch daemonsets.apps "sluice-runtime" in namespace sluice-system');
    expect(missing).not.toContain('get nodes');
    await plane.kubectl(['apply', '-k', 'config/default']);
    expect(await missingRights(client, NAMESPACE, [])).toEqual([]);
  });

  test('X4: config/namespaced watches single namespaces with rights there only', async () => {
    expect(await plane.kubectl(['kustomize', 'config/namespaced'])).not.toMatch(
      /kind: ClusterRoleBinding\nmetadata:\n(.*\n){0,5} {2}name: sluice-operator-watched/,
    );
    await plane.kubectl(['delete', 'clusterrolebinding', 'sluice-operator-watched']);
    await plane.kubectl(['apply', '-k', 'config/namespaced']);
    await plane.kubectl(['create', 'namespace', 'watched']);
    const client = await clientOf(await plane.tokenKubeconfig(NAMESPACE, 'sluice-operator'));
    expect(await missingRights(client, NAMESPACE, [NAMESPACE])).toEqual([]);
    expect(await missingRights(client, NAMESPACE, [])).toContain('list otelplugins.sluice.dev');
    expect(await missingRights(client, NAMESPACE, ['watched'])).toContain(
      'list otelplugins.sluice.dev in namespace watched',
    );
    const binding =
      'create rolebinding sluice-operator-watched --namespace watched --clusterrole sluice-operator-watched';
    await plane.kubectl([...binding.split(' '), '--serviceaccount', `${NAMESPACE}:sluice-operator`]);
    expect(await missingRights(client, NAMESPACE, [NAMESPACE, 'watched'])).toEqual([]);
    const settings = await plane.kubectl(['get', 'configmap', 'sluice-settings', '-n', NAMESPACE, '-o', 'yaml']);
    expect(settings).toContain("watchNamespaces: ['.']");
  });

  test('in another namespace, with another image: one small overlay', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'sluice-overlay-'));
    try {
      mkdirSync(join(dir, 'overlay'));
      const base = relative(join(dir, 'overlay'), join(process.cwd(), 'config'));
      writeFileSync(
        join(dir, 'overlay', 'kustomization.yaml'),
        JSON.stringify({
          namespace: 'telemetry',
          resources: [join(base, 'default')],
          components: [join(base, 'components/cluster-secrets')],
          images: [{ name: 'localhost/sluice', newName: 'registry.example/sluice', newTag: 'v1' }],
        }),
      );
      const text = await plane.kubectl(['kustomize', join(dir, 'overlay')]);
      expect(text).not.toContain('sluice-system');
      expect(text).toContain('image: registry.example/sluice:v1');
      await plane.kubectl(['create', 'namespace', 'telemetry']);
      await plane.kubectl(['apply', '--dry-run=server', '-f', '-'], { input: text });
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  test('goes away whole, whatever goes first', async () => {
    const child = (one: Child): Promise<string> => plane.kubectl(['apply', '-f', '-'], { input: one });
    const uid = await plane.kubectl([
      'get',
      'deployment',
      'sluice-operator',
      '-n',
      NAMESPACE,
      '-o',
      'jsonpath={.metadata.uid}',
    ]);
    const inputs = inputsOf('', { deploymentUid: uid });
    await child(runtimeStatefulSet(inputs, 1));
    await child(collectorDaemonSet(inputs));
    // the custom resources' definitions first: what is of them goes with them
    await plane.kubectl(['apply', '-n', 'default', '-f', 'config/samples/otelplugin.yaml', '-n', NAMESPACE]);
    await plane.kubectl(['delete', '-k', 'config/crd', '--timeout', '60s']);
    await plane.kubectl([
      'delete',
      'deployment',
      'sluice-operator',
      '-n',
      NAMESPACE,
      '--cascade=foreground',
      '--timeout',
      '60s',
    ]);
    const left = await plane.kubectl(['get', 'statefulsets,daemonsets', '-n', NAMESPACE, '-o', 'name']);
    expect(left).toBe('');
    await plane.kubectl(['delete', '-k', 'config/namespaced', '--ignore-not-found', '--timeout', '90s']);
    await plane.kubectl(['delete', '-k', 'config/default', '--ignore-not-found', '--timeout', '90s']);
    const all = await plane.kubectl(['get', 'clusterroles,clusterrolebindings,namespaces', '-o', 'name']);
    expect(all.split('\n').filter((name) => name.includes('sluice'))).toEqual([]);
  });
});
