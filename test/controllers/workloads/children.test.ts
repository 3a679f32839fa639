import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import { desiredChildren } from '../../../src/controllers/workloads/decide.ts';
import type { Child, Inputs } from '../../../src/controllers/workloads/objects.ts';
import { REFUSED_RANGES } from '../../../src/model/refused-ranges.ts';
import { refusalOf } from '../../../src/runtime/endpoint-guard.ts';
import { inputsOf } from './inputs.ts';

const GOLDEN = join(import.meta.dirname, 'golden');
const EVERYTHING = `
log: {level: debug}
telemetry: {endpoint: "http://otel.monitoring.svc:4317"}
image: {name: "registry.example/sluice@sha256:0123", pullPolicy: Always, pullSecrets: [pull]}
ports: {run: 8443, flight: 8444, health: 9081, metrics: 9091}
network:
  apiServerPorts: [6443]
  apiServerRanges: [192.0.2.10/32]
  metricsNamespaces: {kubernetes.io/metadata.name: monitoring}
collector:
  tableBudget: 512Mi
  hostProcesses: true
  libraryDiscovery: true
  maxUnavailable: 3
  agent: {resources: {requests: {cpu: 1}, limits: {memory: 2Gi}}}
  probe: {resources: {requests: {}, limits: {}}}
  nodeSelector: {}
  tolerations: [{key: dedicated, operator: Equal, value: gpu, effect: NoSchedule}]
  priorityClassName: system-node-critical
  podAnnotations: {example.com/team: observability}
runtime:
  replicas: 3
  storage: {size: 4Gi, className: fast}
  allowedEndpointRanges: [169.254.10.0/24]
  tolerations: [{key: dedicated, operator: Exists}]
  priorityClassName: high
`;

const yamlOf = (children: readonly Child[]): string =>
  children.map((child) => stringify(child, { lineWidth: 0, aliasDuplicateObjects: false })).join('---\n');

function expectGolden(name: string, text: string): void {
  const file = join(GOLDEN, name);
  if (process.env['UPDATE_GOLDEN'] === '1') {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  expect(text).toBe(readFileSync(file, 'utf8'));
}

const build = (inputs: Inputs): Child[] =>
  desiredChildren(inputs, { replicas: inputs.settings.runtime.replicas, leavingSince: undefined });
const child = (inputs: Inputs, kind: string, name: string): Child => {
  const found = build(inputs).find((one) => one.kind === kind && one.metadata.name === name);
  if (found === undefined) throw new Error(`no ${kind} ${name}`);
  return found;
};

interface Template {
  readonly spec: {
    readonly template: {
      readonly metadata: { readonly labels: Record<string, string> };
      readonly spec: {
        readonly containers: readonly {
          readonly name: string;
          readonly image: string;
          readonly securityContext: Record<string, unknown>;
          readonly volumeMounts: readonly { readonly name: string }[];
        }[];
      };
    };
    readonly selector: { readonly matchLabels: Record<string, string> };
  };
}
const templateOf = (inputs: Inputs, kind: 'DaemonSet' | 'StatefulSet'): Template =>
  child(inputs, kind, kind === 'DaemonSet' ? 'sluice-collector' : 'sluice-runtime') as unknown as Template;

describe('the objects that the operator makes', () => {
  test('with the defaults', () => expectGolden('defaults.yaml', yamlOf(build(inputsOf()))));

  test('with every setting set', () => expectGolden('everything.yaml', yamlOf(build(inputsOf(EVERYTHING)))));

  test('C24, C32: are owned by the operator and carry the labels; the version is in no selector', () => {
    for (const one of build(inputsOf(EVERYTHING, { version: '1.2.3+build' }))) {
      expect(one.metadata.ownerReferences).toEqual([
        expect.objectContaining({
          kind: 'Deployment',
          name: 'sluice-operator',
          controller: true,
          blockOwnerDeletion: true,
        }),
      ]);
      expect(one.metadata.namespace).toBe('sluice-system');
      expect(Object.keys(one.metadata.labels).sort()).toEqual(
        ['component', 'instance', 'managed-by', 'name', 'part-of', 'version'].map(
          (name) => `app.kubernetes.io/${name}`,
        ),
      );
      expect(one.metadata.labels['app.kubernetes.io/version']).toBe('1.2.3_build');
    }
  });

  test('C31: keep their selectors whatever the settings and the version', () => {
    for (const kind of ['DaemonSet', 'StatefulSet'] as const) {
      const { selector } = templateOf(inputsOf(), kind).spec;
      expect(templateOf(inputsOf(EVERYTHING, { version: '9' }), kind).spec.selector).toEqual(selector);
      expect(Object.keys(selector.matchLabels).sort()).toEqual(
        ['component', 'instance', 'name'].map((name) => `app.kubernetes.io/${name}`),
      );
    }
  });

  test('X12: only the probe has capabilities, and only those that its features need', () => {
    const containers = (yaml: string) => templateOf(inputsOf(yaml), 'DaemonSet').spec.template.spec.containers;
    const [probe, agent] = containers('');
    expect(probe?.securityContext).toMatchObject({
      privileged: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'], add: ['BPF', 'PERFMON'] },
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(agent?.securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 65_532,
      capabilities: { drop: ['ALL'] },
    });
    expect(containers('collector: {libraryDiscovery: true}')[0]?.securityContext).toMatchObject({
      capabilities: { add: ['BPF', 'PERFMON', 'SYS_PTRACE', 'DAC_READ_SEARCH'] },
    });
  });

  test('X17: the runtime’s policy leaves out what the runtime refuses, by the same list', () => {
    const policy = child(inputsOf(), 'NetworkPolicy', 'sluice-runtime') as unknown as {
      readonly spec: { readonly egress: readonly { readonly to?: readonly { readonly ipBlock?: Block }[] }[] };
    };
    interface Block {
      readonly cidr: string;
      readonly except: readonly string[];
    }
    const blocks = policy.spec.egress.flatMap(({ to = [] }) => to.flatMap(({ ipBlock }) => ipBlock ?? []));
    expect(blocks.map(({ cidr }) => cidr)).toEqual(['0.0.0.0/0', '::/0']);
    const left = blocks.flatMap(({ except }) => except);
    expect([...left].sort()).toEqual(REFUSED_RANGES.map(({ cidr }) => cidr).sort());
    for (const cidr of left) {
      const [address = ''] = cidr.split('/');
      expect([cidr, refusalOf(address)]).toEqual([cidr, expect.any(String)]);
      const block = blocks.find(({ except }) => except.includes(cidr));
      expect(block?.cidr.includes(':')).toBe(cidr.includes(':'));
    }
  });

  test('X13: the probe holds neither key nor token', () => {
    const [probe] = templateOf(inputsOf(), 'DaemonSet').spec.template.spec.containers;
    expect(probe?.volumeMounts.map(({ name }) => name)).toEqual(['run']);
  });

  // a pod template that does not change does not roll
  test.each([
    ['collector: {tableBudget: 128Mi}', ['DaemonSet']],
    ['collector: {nodeSelector: {a: b}}', ['DaemonSet']],
    ['runtime: {allowedEndpointRanges: [10.0.0.0/8]}', ['StatefulSet']],
    ['runtime: {replicas: 4}', []],
    ['certificates: {renewEvery: 12h}', []],
    ['network: {apiServerPorts: [8443]}', []],
    ['watchNamespaces: [shop]', []],
    ['collector: {maxUnavailable: 50%}', []],
    ['log: {level: debug}', ['DaemonSet', 'StatefulSet']],
    ['image: {name: other}', ['DaemonSet', 'StatefulSet']],
  ] as const)('%s rolls %j and no other', (yaml, rolled) => {
    const image = /name: (other)/.exec(yaml)?.[1];
    const inputs = inputsOf(yaml, image === undefined ? {} : { image });
    const changed = (['DaemonSet', 'StatefulSet'] as const).filter(
      (kind) =>
        JSON.stringify(templateOf(inputs, kind).spec.template) !==
        JSON.stringify(templateOf(inputsOf(), kind).spec.template),
    );
    expect(changed).toEqual(rolled);
  });

  test('switches NetworkPolicies off', () => {
    const kinds = build(inputsOf('network: {policies: false}')).map(({ kind }) => kind);
    expect(kinds).not.toContain('NetworkPolicy');
    expect(kinds).toContain('DaemonSet');
  });
});
