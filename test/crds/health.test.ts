// T9: on every row of the situation table the tools that wait for us agree. The ports of kstatus and kubectl are the oracles
// here; test/cluster/crd-health.test.ts has the same rows on a real API server with a real kubectl.
import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { argoHealth, isWaitOver, kstatus, luaMissing, type Judged } from './health.ts';
import { JUDGED } from './judged.ts';

const ARGOCD = join(import.meta.dirname, '../../config/argocd');
const describeLua = luaMissing === undefined ? describe : describe.skip;

describe('T9 tools that wait', () => {
  test.each(JUDGED)('agree on: $title', ({ object, verdict }) => {
    const current = { ready: 'Current', waiting: 'InProgress', failed: 'Failed' } as const;
    expect(kstatus(object)).toBe(current[verdict]);
    expect(isWaitOver(object)).toBe(verdict === 'ready');
  });

  test('C19 would take an object without any conditions for finished, so ours never is', () => {
    expect(kstatus({ metadata: { name: 'it', generation: 1 }, spec: {} })).toBe('Current');
    for (const { object } of JUDGED) {
      expect(object.status?.conditions !== undefined || object.status?.observedGeneration === -1).toBe(true);
    }
  });
});

describeLua('G3 T9 the health check for Argo CD', () => {
  test('agrees with them', () => {
    const health = argoHealth(JUDGED.map(({ object }) => object));
    const expected = JUDGED.map(({ title, verdict, isDegraded }) => {
      if (verdict === 'ready') return [title, 'Healthy'];
      return [title, verdict === 'failed' || isDegraded ? 'Degraded' : 'Progressing'];
    });
    expect(JUDGED.map(({ title }, i) => [title, health[i]?.status])).toEqual(expected);
    for (const { message } of health) expect(message).not.toBe('');
  });

  test('is Progressing for an object that has no status at all', () => {
    expect(argoHealth([{ metadata: { generation: 1 }, spec: {} }, {}]).map(({ status }) => status)).toEqual([
      'Progressing',
      'Progressing',
    ]);
  });

  test('says Stalled before all else, whoever wrote it', () => {
    const condition = (type: string, status: string) => ({ type, status, reason: 'Because', message: 'of this' });
    const object = (spec: object, ...conditions: readonly object[]) => ({ metadata: {}, spec, status: { conditions } });
    const stalled = condition('Stalled', 'True');
    expect(
      argoHealth([
        object({ suspend: true }, condition('Ready', 'True'), stalled),
        object({ enabled: false }, stalled),
        object({}, condition('Reconciling', 'True'), stalled),
        object({}, condition('Ready', 'Unknown'), condition('Stalled', 'False')),
        object({ suspend: true }, condition('Ready', 'False'), condition('Reconciling', 'True')),
      ]),
    ).toEqual([
      ...[0, 1, 2].map(() => ({ status: 'Degraded', message: 'Because: of this' })),
      { status: 'Progressing', message: 'waiting for the operator' },
      { status: 'Healthy', message: 'switched off in spec' },
    ]);
  });

  /** The format of argo-cd's resource_customizations. */
  const cases = parse(readFileSync(join(ARGOCD, 'health_test.yaml'), 'utf8')) as {
    readonly tests: readonly { readonly healthStatus: unknown; readonly inputPath: string }[];
  };
  test.each(cases.tests)('says of $inputPath what health_test.yaml has', ({ healthStatus, inputPath }) => {
    const object: unknown = parse(readFileSync(join(ARGOCD, inputPath), 'utf8'));
    expect(argoHealth([object])).toEqual([healthStatus]);
    expect((object as Judged).spec).toBeDefined();
  });

  test('is in the patch for argocd-cm, for both kinds, as it is in health.lua', () => {
    const patch = parse(readFileSync(join(ARGOCD, 'argocd-cm-patch.yaml'), 'utf8')) as { data: Record<string, string> };
    for (const kind of ['ExportScript', 'OtelPlugin']) {
      const lua = patch.data[`resource.customizations.health.sluice.dev_${kind}`];
      expect(lua).toBe(readFileSync(join(ARGOCD, 'health.lua'), 'utf8'));
    }
  });
});
