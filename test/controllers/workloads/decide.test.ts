import { describe, expect, test } from '@jest/globals';
import { decide, isOurs, LEAVING_SINCE, scaleOf, type Facts } from '../../../src/controllers/workloads/decide.ts';
import type { ObservedNode, ObservedPod, ObservedStatefulSet } from '../../../src/controllers/workloads/observed.ts';
import { foreignItems, ownedPart, withHash } from '../../../src/controllers/workloads/write-child.ts';
import { INSTALLATION, inputsOf } from './inputs.ts';

const NOW = Date.UTC(2026, 0, 31, 12);
const facts = (more: Partial<Facts> = {}): Facts => ({
  isUninstalling: false,
  children: new Map(),
  runtimePods: [],
  nodes: new Map(),
  isSpoolEmpty: () => undefined,
  nowMs: NOW,
  ...more,
});
const statefulSet = (replicas: number, leavingSince?: string): ObservedStatefulSet => ({
  kind: 'StatefulSet',
  metadata: {
    name: 'sluice-runtime',
    uid: 'u',
    ...(leavingSince === undefined ? {} : { annotations: { [LEAVING_SINCE]: leavingSince } }),
  },
  spec: { replicas },
});

describe('scaling', () => {
  test.each([
    ['up at once', 3, statefulSet(1), true, { replicas: 3, leavingSince: undefined }],
    ['from nothing', 1, undefined, undefined, { replicas: 1, leavingSince: undefined }],
    ['back up from what somebody scaled to 0', 1, statefulSet(0), undefined, { replicas: 1, leavingSince: undefined }],
    ['down at once with empty spools', 1, statefulSet(3), true, { replicas: 1, leavingSince: undefined }],
    ['not down with a spool', 1, statefulSet(3), false, { replicas: 3, leavingSince: '2026-01-31T12:00:00.000Z' }],
    [
      'not down where nothing is known',
      1,
      statefulSet(3),
      undefined,
      { replicas: 3, leavingSince: '2026-01-31T12:00:00.000Z' },
    ],
    [
      'waits on',
      1,
      statefulSet(3, '2026-01-31T11:58:00.000Z'),
      false,
      { replicas: 3, leavingSince: '2026-01-31T11:58:00.000Z' },
    ],
    [
      'five minutes at most',
      1,
      statefulSet(3, '2026-01-31T11:55:00.000Z'),
      false,
      { replicas: 1, leavingSince: undefined },
    ],
    [
      'begins anew where the time is none',
      1,
      statefulSet(3, 'soon'),
      false,
      { replicas: 3, leavingSince: '2026-01-31T12:00:00.000Z' },
    ],
    [
      'begins anew where the time is to come',
      1,
      statefulSet(3, '2027-01-01T00:00:00Z'),
      false,
      { replicas: 3, leavingSince: '2026-01-31T12:00:00.000Z' },
    ],
  ] as const)('%s', (_, wanted, observed, isEmpty, scale) => {
    expect(scaleOf(wanted, observed, { isSpoolEmpty: () => isEmpty, nowMs: NOW })).toMatchObject(scale);
  });
});

describe('a pod of the runtime that does not end', () => {
  const terminating = (secondsAgo: number, more: Partial<ObservedPod['spec']> = {}): ObservedPod => ({
    metadata: {
      name: 'sluice-runtime-0',
      uid: 'pod-uid',
      // the API server writes when the grace period is over, not when the deletion was asked for
      deletionTimestamp: new Date(NOW - secondsAgo * 1000 + 40_000).toISOString(),
      deletionGracePeriodSeconds: 40,
    },
    spec: { nodeName: 'n1', volumes: [{ name: 'state', emptyDir: {} }], ...more },
  });
  const nodes = (status: string): ReadonlyMap<string, ObservedNode> =>
    new Map([['n1', { metadata: { name: 'n1' }, status: { conditions: [{ type: 'Ready', status }] } }]]);
  const removed = (pod: ObservedPod, where: ReadonlyMap<string, ObservedNode>) =>
    decide(inputsOf(), [], facts({ runtimePods: [pod], nodes: where })).remove;

  test('goes by force 30 s after it was asked to, and only that very one', () => {
    expect(removed(terminating(31), nodes('Unknown'))).toEqual([
      expect.objectContaining({ kind: 'Pod', name: 'sluice-runtime-0', uid: 'pod-uid', gracePeriodSeconds: 0 }),
    ]);
    expect(removed(terminating(31), new Map())).toHaveLength(1);
    const early = decide(inputsOf(), [], facts({ runtimePods: [terminating(10)], nodes: nodes('False') }));
    expect(early.remove).toEqual([]);
    expect(early.againMs).toBe(NOW + 20_000);
  });

  test.each([
    ['its node is well', terminating(100), 'True'],
    ['its state is on a claim, which another node must not get before', terminating(100, { volumes: [] }), 'Unknown'],
    ['it is on no node', terminating(100, { volumes: [{ name: 'state', emptyDir: {} }] }), 'True'],
  ] as const)('stays where %s', (_, pod, status) => expect(removed(pod, nodes(status))).toEqual([]));
});

describe('whose an object is', () => {
  const managed = { 'app.kubernetes.io/managed-by': 'sluice-operator' };
  const owner = (uid: string, name = 'sluice-operator', kind = 'Deployment') => [{ kind, name, uid, controller: true }];
  test.each([
    ['ours', { name: 'x', labels: managed, ownerReferences: owner(INSTALLATION.deploymentUid) }, true],
    ['ours without its labels', { name: 'x', ownerReferences: owner(INSTALLATION.deploymentUid) }, true],
    ['of an installation before', { name: 'x', labels: managed, ownerReferences: owner('old') }, true],
    ['left behind by it', { name: 'x', labels: managed }, true],
    ["somebody's", { name: 'x' }, false],
    ["another controller's", { name: 'x', labels: managed, ownerReferences: owner('o', 'x', 'Helm') }, false],
    ["another operator's", { name: 'x', labels: managed, ownerReferences: owner('o', 'other-operator') }, false],
  ] as const)('%s', (_, metadata, ours) => expect(isOurs({ metadata }, INSTALLATION.deploymentUid)).toBe(ours));
});

test('C25: nothing at all while the Deployment is being deleted', () => {
  expect(decide(inputsOf(), [], facts({ isUninstalling: true }))).toMatchObject({
    apply: [],
    remove: [],
    fault: undefined,
  });
});

describe('what is ours of an object', () => {
  const child = withHash(decide(inputsOf(), [], facts()).apply.find(({ kind }) => kind === 'DaemonSet') as never);

  test('is all of what was sent, whatever was added', () => {
    const more = structuredClone(child) as unknown as {
      metadata: { annotations: Record<string, string>; uid?: string };
      spec: { template: { spec: { containers: object[]; dnsPolicy?: string } } };
      status?: object;
    };
    more.metadata.annotations['example.com/note'] = 'x';
    more.metadata.uid = 'u';
    more.spec.template.spec.containers.unshift({ name: 'injected', image: 'x' });
    more.spec.template.spec.dnsPolicy = 'ClusterFirst';
    more.status = { numberReady: 1 };
    expect(ownedPart(child, more)).toEqual(child);
    expect(foreignItems(child, more)).toEqual(['/spec/template/spec/containers/0']);
  });

  test('differs where a value, an item or a field is another or gone', () => {
    type Template = { spec: { template: { spec: { containers: { image?: string; env?: object[] }[] } } } };
    const changed = (change: (one: Template) => void): unknown => {
      const copy = structuredClone(child) as unknown as Template;
      change(copy);
      return ownedPart(child, copy);
    };
    const containers = (one: Template) => one.spec.template.spec.containers;
    expect(changed((one) => ((containers(one)[0] ??= {}).image = 'other'))).not.toEqual(child);
    expect(changed((one) => containers(one).pop())).not.toEqual(child);
    expect(changed((one) => containers(one)[1]?.env?.pop())).not.toEqual(child);
    expect(changed((one) => delete containers(one)[0]?.image)).not.toEqual(child);
    expect(ownedPart(child, undefined)).toBeUndefined();
  });
});
