// Pods and services of any shape: what comes from outside is read, or counted, and never trips anybody.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createPodMetadata } from '../../../src/collector/identity/cluster.ts';
import { podFacts, serviceFacts, slimPod, slimService } from '../../../src/collector/identity/objects.ts';
import type { PodJson, ServiceJson } from '../../../src/collector/identity/objects.ts';
import { pod } from './objects.ts';

const make = () => ({ metadata: createPodMetadata({ now: () => 0 }) });

describe('objects of any shape', () => {
  const json = fc.jsonValue({ maxDepth: 4 });
  /** The right names with anything below, so that every branch is met with every type. */
  const metadata = fc.record(
    {
      name: fc.oneof(fc.constantFrom('a', 'b'), json),
      namespace: fc.oneof(fc.constantFrom('n', 'm'), json),
      uid: fc.oneof(fc.constantFrom('u1', 'u2', 'u3'), json),
      labels: fc.oneof(
        fc.dictionary(fc.constantFrom('app', 'pod-template-hash'), fc.oneof(fc.constant('x'), json)),
        json,
      ),
      annotations: fc.oneof(
        fc.dictionary(
          fc.constantFrom('kubernetes.io/config.hash', 'kubernetes.io/config.mirror'),
          fc.oneof(fc.constant('u1'), json),
        ),
        json,
      ),
      ownerReferences: fc.oneof(
        fc.array(
          fc.record({
            kind: fc.oneof(fc.constantFrom('ReplicaSet', 'Node'), json),
            name: json,
            uid: json,
            controller: fc.oneof(fc.boolean(), json),
          }),
        ),
        json,
      ),
      creationTimestamp: json,
    },
    { requiredKeys: [] },
  );
  const ip = fc.oneof(fc.constantFrom('10.0.0.1', '10.0.0.2', 'None'), json);
  const statuses = fc.oneof(
    fc.array(
      fc.record({
        name: json,
        containerID: json,
        state: fc.oneof(fc.record({ terminated: fc.oneof(fc.record({ containerID: json }), json) }), json),
        lastState: json,
      }),
    ),
    json,
  );
  const status = fc.record(
    {
      phase: json,
      podIP: ip,
      podIPs: fc.oneof(fc.array(fc.oneof(fc.record({ ip }), json)), json),
      startTime: json,
      containerStatuses: statuses,
      initContainerStatuses: statuses,
    },
    { requiredKeys: [] },
  );
  const anyPod = fc.record(
    {
      metadata,
      spec: fc.oneof(fc.record({ nodeName: json, hostNetwork: json, hostname: json }), json),
      status: fc.oneof(status, json),
    },
    { requiredKeys: ['metadata'] },
  );
  const anyService = fc.record(
    {
      metadata,
      spec: fc.oneof(
        fc.record({
          selector: fc.oneof(fc.dictionary(fc.constant('app'), json), json),
          clusterIP: ip,
          clusterIPs: json,
        }),
        json,
      ),
    },
    { requiredKeys: ['metadata'] },
  );
  const runs = { numRuns: Number(process.env['SLUICE_FUZZ_RUNS'] ?? 500) };

  test('are read, and slimmed without a difference', () => {
    fc.assert(
      fc.property(anyPod, anyService, (one, other) => {
        expect(podFacts(slimPod(one as unknown as PodJson))).toEqual(podFacts(one));
        expect(serviceFacts(slimService(other as unknown as ServiceJson))).toEqual(serviceFacts(other));
      }),
      runs,
    );
  });

  test('in any order of changes give answers, and text as names', () => {
    const object = fc.oneof(anyPod, json);
    const change = fc.record({
      before: fc.option(object, { nil: undefined }),
      after: fc.option(object, { nil: undefined }),
    });
    const serviceChange = fc.record({
      before: fc.option(anyService, { nil: undefined }),
      after: fc.option(fc.oneof(anyService, json), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(change), fc.array(serviceChange), (pods, services) => {
        const { metadata: known } = make();
        pods.forEach((one) => known.pod(one));
        services.forEach((one) => known.service(one));
        for (const key of ['u1', 'u2', 'u3', 'n/a', 'm/b', '10.0.0.1', '10.0.0.2', '']) {
          const found = [known.podByUid(key), known.podByIp(key), known.podByName(key)];
          for (const { identity } of found.filter((one) => one !== undefined))
            for (const value of Object.values(identity).flat()) expect(typeof value).toBe('string');
          for (const one of [known.serviceByIp(key), known.serviceById(key), known.serviceByName(key)])
            for (const value of Object.values(one ?? {})) expect(typeof value).toBe('string');
          known.isInside(key);
        }
      }),
      runs,
    );
  });

  test('that are none are counted', () => {
    const { metadata: known } = make();
    known.pod({ after: { kind: 'Pod' } });
    known.service({ after: null });
    known.pod({ after: pod('x') });
    expect(known.refused).toBe(2);
  });
});
