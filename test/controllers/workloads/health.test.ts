import { describe, expect, test } from '@jest/globals';
import { missingPods, podFault, workloadHealth, type HealthFacts } from '../../../src/controllers/workloads/health.ts';
import type { ObservedContainer, ObservedNode, ObservedPod } from '../../../src/controllers/workloads/observed.ts';

const NOW = Date.UTC(2026, 0, 31, 12);
const at = (secondsAgo: number): string => new Date(NOW - secondsAgo * 1000).toISOString();

const node = (name: string, status = 'True'): ObservedNode => ({
  metadata: { name },
  status: { conditions: [{ type: 'Ready', status }] },
});
const container = (
  name: string,
  state: ObservedContainer['state'],
  more: Partial<ObservedContainer> = {},
): ObservedContainer => ({
  name,
  image: 'registry.example/sluice:1',
  ready: false,
  state: state ?? {},
  ...more,
});
const pod = (
  name: string,
  nodeName: string,
  containers: ObservedContainer[] | undefined,
  secondsAgo = 600,
  isReady = false,
): ObservedPod => ({
  metadata: { name },
  spec: { nodeName },
  status: {
    phase: 'Running',
    conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False', lastTransitionTime: at(secondsAgo) }],
    ...(containers === undefined ? {} : { containerStatuses: containers }),
  },
});
const running = container('agent', { running: {} }, { ready: true });
const waiting = (reason: string, message = ''): ObservedContainer['state'] => ({ waiting: { reason, message } });
const ended = (exitCode: number, reason = 'Error') => ({ terminated: { exitCode, reason } });

describe('why a pod is not ready', () => {
  test.each<[string, ObservedPod, string | undefined, string]>([
    ['ready', pod('a', 'n1', [running], 600, true), undefined, ''],
    [
      'image',
      pod('a', 'n1', [container('agent', waiting('ErrImagePull', 'back-off 5m0s'))]),
      'ImagePull',
      'image registry.example/sluice:1 of container agent cannot be pulled',
    ],
    [
      'image, later',
      pod('a', 'n1', [container('agent', waiting('ImagePullBackOff'))]),
      'ImagePull',
      'image registry.example/sluice:1 of container agent cannot be pulled',
    ],
    [
      'a crash',
      pod('a', 'n1', [container('agent', waiting('CrashLoopBackOff', 'back-off 20s'), { lastState: ended(1) })]),
      'CrashLoop',
      'container agent ended with status 1; see its log',
    ],
    [
      'a crash just now',
      pod('a', 'n1', [container('agent', ended(1))]),
      'CrashLoop',
      'container agent ended with status 1; see its log',
    ],
    [
      'memory',
      pod('a', 'n1', [container('agent', ended(137, 'OOMKilled'))]),
      'CrashLoop',
      'container agent was killed for want of memory; see its log',
    ],
    [
      'no rights',
      pod('a', 'n1', [running, container('probe', waiting('CrashLoopBackOff'), { lastState: ended(3) })]),
      'RightsMissing',
      'BPF and PERFMON',
    ],
    [
      'kernel',
      pod('a', 'n1', [container('probe', ended(4)), container('agent', { running: {} })]),
      'KernelUnsupported',
      'kernel',
    ],
    ['3 of another container', pod('a', 'n1', [container('agent', ended(3))]), 'CrashLoop', 'status 3'],
    [
      'a Secret that is missing',
      pod('a', 'n1', [container('agent', waiting('CreateContainerConfigError', 'secret "x" not found'))]),
      'ContainerNotMade',
      'container agent: CreateContainerConfigError secret "x" not found',
    ],
    [
      'starting',
      pod('a', 'n1', [container('agent', waiting('ContainerCreating'))]),
      'Starting',
      'container agent is being made',
    ],
    ['not ready', pod('a', 'n1', [container('agent', { running: {} })]), 'NotReady', 'container agent is not ready'],
    ['unknown to the kubelet', pod('a', 'n1', undefined), 'Starting', ''],
    ['on a dead node', pod('a', 'dead', [running], 600, true), 'NodeNotReady', ''],
    [
      'nowhere',
      {
        metadata: { name: 'a' },
        status: {
          conditions: [
            { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/3 nodes are available: cpu' },
          ],
        },
      },
      'Unschedulable',
      '0/3 nodes are available: cpu',
    ],
    [
      'going',
      { ...pod('a', 'n1', [running], 600, true), metadata: { name: 'a', deletionTimestamp: at(0) } },
      'Terminating',
      '',
    ],
  ])('%s', (_, subject, reason, message) => {
    const fault = podFault(
      subject,
      node(subject.spec?.nodeName ?? '', subject.spec?.nodeName === 'dead' ? 'Unknown' : 'True'),
    );
    expect(fault?.reason).toBe(reason);
    expect(fault?.message ?? '').toContain(message);
  });

  test('C18: is said without times and counts, which would make every status change with them', () => {
    const first = pod('a', 'n1', [
      container('agent', waiting('CrashLoopBackOff', 'back-off 10s restarting'), { lastState: ended(1) }),
    ]);
    const later = pod('a', 'n1', [
      container('agent', waiting('CrashLoopBackOff', 'back-off 5m0s restarting'), { lastState: ended(1) }),
    ]);
    expect(podFault(later, undefined)).toEqual(podFault(first, undefined));
  });
});

const facts = (more: Partial<HealthFacts>): HealthFacts => ({
  daemonSet: {
    metadata: { name: 'sluice-collector' },
    status: { desiredNumberScheduled: 0, currentNumberScheduled: 0 },
  },
  collectorPods: [],
  runtimePods: [],
  nodes: new Map(),
  replicas: 1,
  fault: undefined,
  missingSinceMs: { collector: undefined, runtime: undefined },
  nowMs: NOW,
  ...more,
});
const scheduled = (desired: number, current = desired): HealthFacts['daemonSet'] => ({
  metadata: { name: 'sluice-collector' },
  status: { desiredNumberScheduled: desired, currentNumberScheduled: current },
});
const good = (name: string, nodeName: string): ObservedPod => pod(name, nodeName, [running], 600, true);

describe('the health of the workloads', () => {
  test('all is well', () => {
    const health = workloadHealth(
      facts({
        daemonSet: scheduled(2),
        collectorPods: [good('c1', 'n1'), good('c2', 'n2')],
        runtimePods: [good('sluice-runtime-0', 'n1')],
      }),
    );
    expect(health).toEqual({
      collector: { total: 2, ready: 2, fault: undefined, notReady: [] },
      runtime: { replicas: 1, ready: 1, fault: undefined },
    });
  });

  test('names the nodes, and what most of them have; what passes does not hide what stays', () => {
    const health = workloadHealth(
      facts({
        daemonSet: scheduled(4),
        collectorPods: [
          good('c1', 'n1'),
          pod('c4', 'n4', [container('probe', ended(4))]),
          pod('c2', 'n2', [container('agent', waiting('ContainerCreating'))], 5),
          pod('c3', 'n3', [container('probe', ended(4))]),
        ],
      }),
    );
    expect(health.collector).toMatchObject({
      total: 4,
      ready: 1,
      fault: {
        reason: 'KernelUnsupported',
        isTransient: false,
        message: expect.stringMatching(/^node n3, n4: the node's kernel/),
      },
      notReady: [
        { node: 'n2', reason: 'Starting' },
        { node: 'n3', reason: 'KernelUnsupported' },
        { node: 'n4', reason: 'KernelUnsupported' },
      ],
    });
  });

  test('a start is transient for a minute, then it is not', () => {
    const starting = (secondsAgo: number) =>
      workloadHealth(
        facts({ runtimePods: [pod('sluice-runtime-0', 'n1', [container('runtime', { running: {} })], secondsAgo)] }),
      ).runtime.fault;
    expect(starting(5)).toMatchObject({ reason: 'NotReady', isTransient: true });
    expect(starting(61)).toMatchObject({ reason: 'NotReady', isTransient: false });
  });

  test('pods that are never made are a fault after a minute', () => {
    const missing = facts({ daemonSet: scheduled(3, 1), collectorPods: [good('c1', 'n1')] });
    expect(missingPods(missing)).toEqual({ collector: true, runtime: true });
    expect(workloadHealth(missing).collector.fault).toMatchObject({ reason: 'Starting', isTransient: true });
    const later = workloadHealth({ ...missing, missingSinceMs: { collector: NOW - 61_000, runtime: NOW - 61_000 } });
    expect(later.collector.fault).toMatchObject({ reason: 'PodsNotMade', isTransient: false });
    expect(later.runtime.fault).toMatchObject({
      reason: 'PodsNotMade',
      message: expect.stringContaining('kubectl describe statefulset sluice-runtime'),
    });
  });

  test('an ordinal that is to go counts no more', () => {
    const health = workloadHealth(
      facts({
        runtimePods: [good('sluice-runtime-0', 'n1'), pod('sluice-runtime-1', 'n1', [container('runtime', ended(1))])],
      }),
    );
    expect(health.runtime).toEqual({ replicas: 1, ready: 1, fault: undefined });
  });

  test('without nodes, without a DaemonSet, and with a fault of the deployment itself', () => {
    expect(workloadHealth(facts({})).collector.fault).toMatchObject({ reason: 'NoNodes', isTransient: false });
    expect(workloadHealth(facts({ daemonSet: undefined })).collector.fault).toMatchObject({
      reason: 'Deploying',
      isTransient: true,
    });
    const fault = { reason: 'NameTaken', message: 'Service sluice-runtime exists' };
    const { collector, runtime } = workloadHealth(facts({ fault }));
    expect([collector.fault, runtime.fault]).toEqual([
      { ...fault, isTransient: false },
      { ...fault, isTransient: false },
    ]);
  });

  test('is small however many nodes have the same trouble', () => {
    const many = Array.from({ length: 1000 }, (_, i) =>
      pod(`c${i}`, `node-${i}`, [container('agent', waiting('ErrImagePull'))]),
    );
    const { collector } = workloadHealth(facts({ daemonSet: scheduled(1000), collectorPods: many }));
    expect(collector.notReady).toHaveLength(10);
    expect(collector.fault?.message.length).toBeLessThanOrEqual(512);
  });
});
