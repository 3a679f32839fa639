// What a definition in the cluster lacks is left out; against a real API server: test/operator/upgrade.test.ts.
import { expect, test } from '@jest/globals';
import { createApplyStatus } from '../../src/controllers/apply-status.ts';
import { EXPORT_SCRIPTS } from '../../src/cli/operator/kinds.ts';
import { ApiError, type KubeClient, type KubeObject } from '../../src/kube/types.ts';

const refusal = (...fields: readonly string[]): ApiError =>
  new ApiError(
    422,
    'Invalid',
    `failed to create typed patch object: ${fields.map((field) => `.status.${field}: field not declared in schema`).join()}`,
  );

test('writes that were under way together both arrive, and it is told once', async () => {
  const told: string[] = [];
  const arrived = Promise.withResolvers<void>();
  let waiting = 0;
  const written: unknown[] = [];
  const apply: KubeClient['apply'] = async (_, object) => {
    const status: unknown = Reflect.get(object, 'status');
    if (typeof status !== 'object' || status === null || !('mood' in status)) {
      written.push(status);
      return object as KubeObject as never;
    }
    // neither is refused before both are on their way
    waiting += 1;
    if (waiting === 2) arrived.resolve();
    await arrived.promise;
    throw refusal('mood');
  };
  const write = createApplyStatus({ client: { apply }, clock: () => 0, onFault: (what) => void told.push(what) });
  const names = ['a', 'b'];
  await Promise.all(names.map((name) => write(EXPORT_SCRIPTS, { name, namespace: 'n' }, { name, mood: 'good' })));
  expect(written).toEqual([{ name: 'a' }, { name: 'b' }]);
  expect(told).toEqual(['the definition of ExportScript']);
});

test('a field that is left out and refused all the same is an error, not a loop', async () => {
  let calls = 0;
  const apply: KubeClient['apply'] = async () => {
    calls += 1;
    throw refusal('mood');
  };
  const write = createApplyStatus({ client: { apply }, clock: () => 0, onFault: () => undefined });
  await expect(write(EXPORT_SCRIPTS, { name: 'a', namespace: 'n' }, { mood: 'good' })).rejects.toThrow(/not declared/);
  expect(calls).toBe(2);
});
