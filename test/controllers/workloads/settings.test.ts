import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parse } from 'yaml';
import {
  durationMs,
  parseSettings,
  problemText,
  quantityBytes,
  startSettings,
} from '../../../src/controllers/workloads/settings.ts';
import type { Settings } from '../../../src/controllers/workloads/settings-schema.ts';

const settingsOf = (text: string): Settings => {
  const result = parseSettings(text, 'sluice.yaml');
  if (!result.ok) throw new Error(result.problems.map(problemText).join('\n'));
  return result.settings;
};
const problemsOf = (text: string): string[] => {
  const result = parseSettings(text, 'sluice.yaml');
  return result.ok ? [] : result.problems.map(problemText);
};

describe('the settings file', () => {
  test('that ships says what the defaults are', () => {
    const text = readFileSync('config/manager/sluice.yaml', 'utf8');
    // each field is there, so that the file is its own documentation
    expect(parse(text)).toEqual(settingsOf(''));
    expect(settingsOf(text)).toEqual(settingsOf(''));
  });

  test('has defaults for everything', () => {
    expect(settingsOf('')).toEqual(settingsOf('# nothing\n'));
    expect(settingsOf('collector: {tableBudget: 64Mi}').collector).toMatchObject({
      tableBudget: '64Mi',
      maxUnavailable: '10%',
      tolerations: [{ operator: 'Exists' }],
      hostProcesses: false,
    });
  });

  test('takes what a cluster needs', () => {
    const { collector, runtime, image } = settingsOf(
      `
image: {name: "registry.example:5000/team/sluice@sha256:0123", pullPolicy: Always, pullSecrets: [one]}
collector:
  tolerations:
    - {key: node.example/gpu, operator: Equal, value: "true", effect: NoSchedule}
    - {operator: Exists, effect: NoExecute, tolerationSeconds: 30}
  nodeSelector: {kubernetes.io/os: linux, pool: "7"}
  maxUnavailable: 3
  agent: {resources: {limits: {cpu: 1, memory: 2Gi}}}
  podAnnotations: {example.com/a: "1"}
runtime:
  replicas: 3
  storage: {size: 2Gi, className: fast}
  allowedEndpointRanges: [169.254.10.0/24, "fd00:ec2::254/128"]
`,
    );
    expect(image.pullSecrets).toEqual(['one']);
    expect(collector.tolerations).toHaveLength(2);
    expect(collector.nodeSelector['pool']).toBe('7');
    expect([collector.maxUnavailable, collector.agent.resources.limits['cpu']]).toEqual([3, 1]);
    expect(runtime.storage).toEqual({ size: '2Gi', className: 'fast', emptyDirLimit: '2Gi' });
  });

  test.each([
    [
      'collector:\n  tableBudget: lots\n',
      'sluice.yaml:2:16: collector.tableBudget must be a number of bytes such as 256Mi',
    ],
    [
      'collector:\n  tabelBudget: 1Gi\n',
      /^sluice.yaml:2:16: collector.tabelBudget is not a setting; here are .*tableBudget/,
    ],
    ['privileged: true\n', /^sluice.yaml:1:13: privileged is not a setting; here are watchNamespaces, /],
    ['collector: {capabilities: [SYS_ADMIN]}\n', /collector.capabilities is not a setting/],
    ['runtime: {replicas: 0}\n', 'sluice.yaml:1:21: runtime.replicas must be a whole number from 1 to 64'],
    ['runtime: {replicas: "2"}\n', 'sluice.yaml:1:21: runtime.replicas must be a whole number from 1 to 64'],
    [
      'image:\n  pullPolicy: Sometimes\n',
      'sluice.yaml:2:15: image.pullPolicy must be one of "", "Always", "IfNotPresent", "Never"',
    ],
    ['image: {name: "a b"}\n', /image.name must be an image such as/],
    ['certificates: {renewEvery: 100h}\n', /certificates.renewEvery must be more than 0s and at most half of/],
    ['certificates: {caValidity: 200h}\n', /certificates.caValidity must be at least twice/],
    ['leaderElection: {renewDeadline: 15s}\n', /leaderElection.renewDeadline must be shorter/],
    ['ports: {run: 9090}\n', /ports must be different numbers/],
    ['ports: {run: 443}\n', /ports.run must be a whole number from 1024 to 65535/],
    ['network: {apiServerRanges: [10.0.0.0/33]}\n', /network.apiServerRanges must be ranges/],
    ['network: {apiServerPorts: []}\n', /network.apiServerPorts must have a port/],
    ['runtime: {storage: {className: fast}}\n', /runtime.storage.className needs runtime.storage.size/],
    ['collector: {tableBudget: 1Gi}\n', /collector.tableBudget must be at most two thirds/],
    ['watchNamespaces: [Shop]\n', 'sluice.yaml:1:19: watchNamespaces.0 must be the name of a namespace'],
    ['watchNamespaces: [a, a]\n', /watchNamespaces must not name the same twice/],
    ['- a\n', /sluice.yaml:1:1: the file must be an object/],
    ['a: [\n', /sluice.yaml:\d+:\d+: the file is no YAML/],
    ['a: &a [*a, *b]\n', /the file (is no YAML|cannot be read)/],
    ['collector: {nodeSelector: {pool: 7}}\n', /collector.nodeSelector.pool must be text of a label, in quotes/],
    ['collector: {nodeSelector: {"a b": "7"}}\n', /collector.nodeSelector.a b must be a name such as/],
  ])('says what is wrong with %j', (text, message) => {
    const problems = problemsOf(text);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(message);
  });

  test('names every problem, not the first', () => {
    expect(problemsOf('log: {level: loud}\nruntime: {replicas: 100}\nports: {flight: 1}\n')).toHaveLength(3);
  });

  test('is never a crash: any text is settings or problems with a place', () => {
    const word = fc.constantFrom(
      'collector',
      'runtime',
      'image',
      'name',
      'replicas',
      '__proto__',
      'constructor',
      '2Gi',
      '*a',
      '&a',
      '!!js',
      '<<',
    );
    const yamlish = fc
      .array(
        fc.tuple(
          fc.constantFrom('', '  ', '    ', '- '),
          word,
          fc.constantFrom(': ', ':\n', '\n', ' {', '} ', '[', ']'),
        ),
      )
      .map((parts) => parts.map((part) => part.join('')).join('\n'));
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), yamlish), (text) => {
        const result = parseSettings(text, 'f');
        if (result.ok) return;
        expect(result.problems.length).toBeGreaterThan(0);
        for (const { line, column, message } of result.problems) {
          expect(line).toBeGreaterThan(0);
          expect(column).toBeGreaterThan(0);
          expect(message).not.toBe('');
        }
      }),
      { numRuns: Number(process.env['SLUICE_FUZZ_RUNS'] ?? 300) },
    );
  });
});

test('quantities are numbers of bytes', () => {
  expect(['1', '1k', '1Ki', '1.5Gi', '256Mi', '2M', '500m'].map(quantityBytes)).toEqual([
    1, 1000, 1024, 1_610_612_736, 268_435_456, 2_000_000, 1,
  ]);
  expect(durationMs('1h30m')).toBe(5_400_000);
});

test('what the pods get is applied as it is; what the operator reads at its start asks for another', () => {
  const settings = settingsOf('');
  expect(startSettings({ ...settings, runtime: { ...settings.runtime, replicas: 5 } })).toBe(startSettings(settings));
  expect(startSettings({ ...settings, watchNamespaces: ['shop'] })).not.toBe(startSettings(settings));
});
