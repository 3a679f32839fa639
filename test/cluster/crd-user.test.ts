// The custom resources as a user meets them: a real kubectl against a real API server.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { definitionFault } from '../../src/crds/definitions.ts';
import { pendingPluginConditions } from '../../src/crds/plugin-conditions.ts';
import { exportScriptColumns, otelPluginColumns, renderTable } from '../../src/crds/printer-columns.ts';
import { scriptConditions } from '../../src/crds/script-conditions.ts';
import { secretForbidden, secretGrantCommands } from '../../src/crds/secret-access.ts';
import { boundPluginStatus, boundScriptStatus } from '../../src/crds/status-bounds.ts';
import { mergeConditions, NO_TOTALS, type ExportScriptStatus, type OtelPluginStatus } from '../../src/crds/status.ts';
import type { ExportScript } from '../../src/crds/export-script.ts';
import type { OtelPlugin } from '../../src/crds/otel-plugin.ts';
import { GOOD_SCRIPT } from '../crds/situations.ts';
import { clusterMissing } from './binaries.ts';
import { startControlPlane, type ControlPlane } from './control-plane.ts';
import { CRD_FILES, installCrds, openRequests, pathOf, type Requests } from './crd-requests.ts';
import { waitFor } from './instance.ts';

const describeCluster = clusterMissing === undefined ? describe : describe.skip;
const SAMPLES = join(import.meta.dirname, '../../config/samples');
const MERGE = 'application/merge-patch+json';
const HOUR = 3_600_000;

type Stored<T> = T & {
  readonly metadata: { readonly creationTimestamp: string; readonly generation: number };
  readonly status: object;
};

const script = (name: string, more: object = {}): object => ({
  apiVersion: 'sluice.dev/v1alpha1',
  kind: 'ExportScript',
  metadata: { name },
  spec: { pluginRef: { name: 'collector' }, script: { preset: 'http-metrics' }, ...more },
});
const plugin = (name: string, destination: object, more: object = {}): object => ({
  apiVersion: 'sluice.dev/v1alpha1',
  kind: 'OtelPlugin',
  metadata: { name },
  spec: { destination, ...more },
});

describeCluster('a user', () => {
  let plane: ControlPlane;
  let ask: Requests;
  let close = (): void => {};
  beforeAll(async () => {
    plane = await startControlPlane({ name: 'crd-user', controllerManager: false });
    ({ ask, close } = openRequests(plane));
    await installCrds(plane);
  }, 600_000);
  afterAll(async () => {
    close();
    await plane?.stop();
  });

  const apply = (input: object, ...args: readonly string[]): Promise<string> =>
    plane.kubectl(['apply', ...args, '-f', '-'], { input });
  const get = async <T>(kind: string, name: string): Promise<Stored<T>> =>
    (await ask('GET', pathOf(kind, name))).body as Stored<T>;
  const writeStatus = async (kind: string, name: string, status: object): Promise<void> => {
    const answer = await ask('PATCH', pathOf(kind, name, 'status'), { status }, MERGE);
    expect([answer.status, answer.message]).toEqual([200, '']);
  };
  const names = async (...args: readonly string[]): Promise<string[]> =>
    (await plane.kubectl(['get', ...args, '-o', 'name'])).split('\n').filter((line) => line !== '');

  test('applies the samples, again without a change, and deletes them by category', async () => {
    await plane.kubectl(['create', 'namespace', 'sluice-system']);
    const files = ['apply', '-f', SAMPLES];
    await plane.kubectl(files);
    expect(await plane.kubectl(files)).not.toMatch(/configured|created/);
    // G1, G4: what the schema fills in is no difference
    expect(await plane.kubectl(['diff', '-f', SAMPLES])).toBe('');
    expect((await names('sluice', '-n', 'sluice-system')).length).toBeGreaterThan(1);
    await plane.kubectl(['delete', '-f', SAMPLES, '--wait=true']);
    expect(await names('sluice', '-n', 'sluice-system')).toEqual([]);
  });

  test('C1 is told of a misspelt field, and where', async () => {
    await expect(apply(script('typo', { windw: '10s' }))).rejects.toThrow(/unknown field "spec.windw"/);
    await expect(apply(script('typo', { catchUp: { polcy: 'All' } }), '--server-side')).rejects.toThrow(/polcy/);
  });

  test('C16 reads the manual by kubectl explain', async () => {
    const policy = await plane.kubectl(['explain', 'exs.spec.catchUp.policy']);
    expect(policy).toMatch(/ENUM:\s+All\s+Coalesce\s+Skip/);
    expect(policy).toMatch(/Default All\./);
    expect(await plane.kubectl(['explain', 'otelp.spec.destination.timeout'])).toMatch(/1s to 60s/);
    expect(await plane.kubectl(['explain', 'exs.status', '--recursive'])).toMatch(/deliveredUntil/);
  });

  test('C12 selects by fields', async () => {
    await apply(script('on'));
    await apply(script('off', { suspend: true }));
    await apply(script('elsewhere', { pluginRef: { name: 'other' } }));
    await apply(plugin('a', { type: 'Console' }));
    await apply(plugin('b', { type: 'OTLPGRPC', endpoint: 'h:1' }));
    expect(await names('exs', '--field-selector', 'spec.suspend=true')).toEqual(['exportscript.sluice.dev/off']);
    expect(await names('exs', '--field-selector', 'spec.pluginRef.name=other')).toEqual([
      'exportscript.sluice.dev/elsewhere',
    ]);
    expect(await names('otelp', '--field-selector', 'spec.destination.type=Console')).toEqual([
      'otelplugin.sluice.dev/a',
    ]);
    await plane.kubectl(['delete', 'sluice', '--all']);
  });

  test('C13 C19 cannot write a status by the object, nor an object by the status', async () => {
    await apply({ ...script('apart'), status: { scriptHash: 'forged' } });
    expect(await get('ExportScript', 'apart')).toMatchObject({
      status: { observedGeneration: -1 },
      metadata: { generation: 1 },
    });
    await ask('PATCH', pathOf('ExportScript', 'apart'), { status: { scriptHash: 'forged' } }, MERGE);
    await ask(
      'PATCH',
      pathOf('ExportScript', 'apart', 'status'),
      { spec: { maxRows: 1 }, status: { scriptHash: 'ours' } },
      MERGE,
    );
    const stored = await get<ExportScript>('ExportScript', 'apart');
    expect(stored.status).toEqual({ observedGeneration: -1, scriptHash: 'ours' });
    expect([stored.spec.maxRows, stored.metadata.generation]).toEqual([100_000, 1]);
    await ask('PATCH', pathOf('ExportScript', 'apart'), { spec: { maxRows: 1 } }, MERGE);
    expect((await get('ExportScript', 'apart')).metadata.generation).toBe(2);
    await plane.kubectl(['delete', 'exs', 'apart']);
  });

  test('C5 two managers own headers and conditions by their keys', async () => {
    const headers = (...list: readonly object[]): object =>
      plugin('shared', { type: 'OTLPGRPC', endpoint: 'h:1', headers: list });
    await apply(headers({ name: 'a', value: '1' }), '--server-side', '--field-manager=one');
    await apply(headers({ name: 'b', value: '2' }), '--server-side', '--field-manager=two');
    const stored = await get<OtelPlugin>('OtelPlugin', 'shared');
    expect(stored.spec.destination.headers).toEqual([
      { name: 'a', value: '1' },
      { name: 'b', value: '2' },
    ]);
    await plane.kubectl(['delete', 'otelp', 'shared']);
  });

  /** Of one second of `kubectl get` or the next: ages are whole seconds. */
  async function sameTable(args: readonly string[], lines: (nowMs: number) => string[]): Promise<void> {
    const before = Date.now();
    const shown = (await plane.kubectl(['get', ...args]))
      .trimEnd()
      .split('\n')
      .map((line) => line.trimEnd());
    const candidates: string[] = [];
    for (let now = before - 1000; now <= Date.now() + 1000; now += 250) candidates.push(lines(now).join('\n'));
    expect(candidates).toContain(shown.join('\n'));
  }

  test('C11 sees the columns that sluice local shows, narrow and wide', async () => {
    await apply(plugin('collector', { type: 'OTLPHTTP', endpoint: 'https://backend.example:4318/secret/path?key=x' }));
    await apply(plugin('console', { type: 'Console' }));
    await apply(script('http', { window: '1m' }));
    await apply(script('new'));
    // in the middle of a minute, because ages of hours show minutes
    const end = Date.now() - 3.5 * HOUR - 30_000;
    const iso = (ms: number): string => new Date(ms).toISOString();
    const status: ExportScriptStatus = boundScriptStatus({
      observedGeneration: 1,
      scriptHash: 'a'.repeat(64),
      conditions: mergeConditions(
        [],
        scriptConditions(
          {
            ...GOOD_SCRIPT,
            compiled: { fault: { reason: 'CompileFailed', message: '4:2 no column "x"' }, warnings: 0 },
          },
          { generation: 1, previous: [], nowMs: end },
        ),
        1,
        iso(end),
      ),
      lastWindow: { start: iso(end - 60_000), end: iso(end), outcome: 'Partial' },
      lastRun: {
        rows: 500,
        metrics: 21,
        spans: 0,
        bytes: 9,
        durationMs: 12,
        nodes: { expected: 2, answered: 1, missing: ['n2'] },
      },
      totals: { ...NO_TOTALS, failures: 3, missed: 2 },
      history: [],
    });
    const pluginStatus: OtelPluginStatus = boundPluginStatus({
      observedGeneration: 1,
      conditions: mergeConditions([], pendingPluginConditions(), 1, iso(end)),
      endpoint: 'backend.example:4318',
      scripts: '1/2',
      lastSuccess: iso(end),
      queue: { batches: 1, bytes: 2 },
      nodes: { total: 2, ready: 1, blind: [{ node: 'n2', source: 'probe', reason: 'ProbeNotRunning' }] },
    });
    await writeStatus('ExportScript', 'http', status);
    await writeStatus('OtelPlugin', 'collector', pluginStatus);
    const none = { conditions: [], totals: { failures: '', missed: '' }, queue: {}, nodes: {}, history: [] };
    const scripts = await Promise.all(['http', 'new'].map((name) => get<ExportScript>('ExportScript', name)));
    const plugins = await Promise.all(['collector', 'console'].map((name) => get<OtelPlugin>('OtelPlugin', name)));
    const createdMs = (object: Stored<object>): number => Date.parse(object.metadata.creationTimestamp);
    for (const wide of [false, true]) {
      const args = wide ? ['-o', 'wide'] : [];
      await sameTable(['exs', ...args], (now) =>
        renderTable(
          exportScriptColumns,
          scripts.map((object, i) => ({
            name: object.metadata.name,
            object,
            status: i === 0 ? status : (none as unknown as ExportScriptStatus),
            createdMs: createdMs(object),
          })),
          now,
          wide,
        ),
      );
      await sameTable(['otelp', ...args], (now) =>
        renderTable(
          otelPluginColumns,
          plugins.map((object, i) => ({
            name: object.metadata.name,
            object,
            status: i === 0 ? pluginStatus : ({ ...none, scripts: '' } as unknown as OtelPluginStatus),
            createdMs: createdMs(object),
          })),
          now,
          wide,
        ),
      );
    }
    expect(await plane.kubectl(['get', 'otelp', '-o', 'wide'])).not.toContain('secret');
    await plane.kubectl(['delete', 'sluice', '--all']);
  });

  test('S16 the fullest status is taken, by server-side apply as the operator writes it', async () => {
    await apply(script('fullest'));
    const time = '2026-01-01T00:00:00.000Z';
    const window = {
      start: time,
      end: time,
      outcome: 'Partial',
      reason: 'SourcesBlind',
      metrics: 1,
      spans: 1,
      refused: 1,
      lost: 1,
    } as const;
    const status = boundScriptStatus({
      observedGeneration: 1,
      scriptHash: 'a'.repeat(64),
      conditions: Array.from('ABCDEFGH', (letter) => ({
        type: `Condition${letter}`,
        status: 'False',
        reason: 'RunFailing',
        message: '"ü'.repeat(600),
        lastTransitionTime: time,
        observedGeneration: 1,
      })),
      deliveredUntil: time,
      lastWindow: { start: time, end: time, outcome: 'Partial' },
      lastRun: {
        rows: 2 ** 53,
        metrics: 0.5,
        spans: -1,
        bytes: 1,
        durationMs: 1.5,
        nodes: { expected: 12, answered: 0, missing: Array.from({ length: 12 }, (_, i) => `${'n'.repeat(252)}${i}`) },
      },
      totals: NO_TOTALS,
      nextWindow: { start: time, end: time },
      lastError: { stage: 'Export', code: 'UNAVAILABLE', message: 'é'.repeat(600), line: 1, column: 2 },
      lastManualRun: { token: 't'.repeat(300), outcome: 'Partial/NodesMissing' },
      history: Array.from({ length: 12 }, () => window),
    });
    const body = { apiVersion: 'sluice.dev/v1alpha1', kind: 'ExportScript', metadata: { name: 'fullest' }, status };
    const path = `${pathOf('ExportScript', 'fullest', 'status')}?fieldManager=sluice-status&force=true&fieldValidation=Strict`;
    const answer = await ask('PATCH', path, body, 'application/apply-patch+yaml');
    expect([answer.status, answer.message]).toEqual([200, '']);
    const stored = await get<object>('ExportScript', 'fullest');
    expect(stored.status).toEqual(status);
    expect(Buffer.byteLength(JSON.stringify(stored.status))).toBeLessThanOrEqual(16 * 1024);
    await plane.kubectl(['delete', 'exs', 'fullest']);
  });

  test('X8 lets Sluice read one Secret by the two commands of the message, and nothing else', async () => {
    for (const name of ['shop', 'team']) await plane.kubectl(['create', 'namespace', name]);
    const commands = secretGrantCommands('shop', 'backend.token', 'team');
    const { message } = secretForbidden('shop', 'backend.token', 'team');
    const operator = '--as=system:serviceaccount:team:sluice-operator';
    const can = (verb: string, what: string, namespace: string): Promise<boolean> =>
      plane.kubectl(['auth', 'can-i', verb, what, '-n', namespace, operator]).then(
        () => true,
        () => false,
      );
    expect(await can('get', 'secrets/backend.token', 'shop')).toBe(false);
    for (const command of commands) {
      expect(message).toContain(command);
      await plane.kubectl(command.split(' ').slice(1));
    }
    await waitFor('the right', () => can('get', 'secrets/backend.token', 'shop'), 10_000);
    for (const verb of ['list', 'watch']) expect(await can(verb, 'secrets/backend.token', 'shop')).toBe(true);
    expect(await can('get', 'secrets/other', 'shop')).toBe(false);
    expect(await can('list', 'secrets', 'shop')).toBe(false);
    expect(await can('update', 'secrets/backend.token', 'shop')).toBe(false);
    expect(await can('get', 'secrets/backend.token', 'default')).toBe(false);
  });

  test('C9 keeps objects that an older schema let in, as long as the fault is not touched (ratcheting)', async () => {
    const [, file = ''] = CRD_FILES;
    const crd = parse(readFileSync(file, 'utf8')) as {
      metadata: { name: string; annotations: Record<string, string> };
    };
    const loose = structuredClone(crd) as never as {
      metadata: typeof crd.metadata;
      spec: {
        versions: {
          schema: {
            openAPIV3Schema: { properties: { spec: { properties: Record<string, Record<string, unknown>> } } };
          };
        }[];
      };
    };
    const properties = loose.spec.versions[0]?.schema.openAPIV3Schema.properties.spec.properties ?? {};
    delete properties['maxRows']?.['maximum'];
    delete properties['window']?.['x-kubernetes-validations'];
    loose.metadata.annotations['sluice.dev/schema-hash'] = 'older';
    const olderFile = join(plane.dir, 'older.yaml');
    writeFileSync(olderFile, stringify(loose));
    await plane.kubectl(['apply', '-f', olderFile]);
    const old = script('old', { maxRows: 20_000_000, window: '48h' });
    await waitFor('the older schema', () => apply(old).then(() => true), 20_000);
    // C17: what the operator sees at its start
    const found = JSON.parse(await plane.kubectl(['get', 'crd', crd.metadata.name, '-o', 'json'])) as typeof crd;
    expect(definitionFault(crd.metadata.name, found)).toMatch(/another version/);

    await plane.kubectl(['apply', '-f', file]);
    await waitFor(
      'the newer schema',
      () =>
        apply(script('probe', { window: '48h' }), '--dry-run=server').then(
          () => false,
          () => true,
        ),
      20_000,
    );
    const restored = JSON.parse(await plane.kubectl(['get', 'crd', crd.metadata.name, '-o', 'json'])) as typeof crd;
    expect(definitionFault(crd.metadata.name, restored)).toBeUndefined();
    const patch = (spec: object) => ask('PATCH', pathOf('ExportScript', 'old'), { spec }, MERGE);
    expect((await patch({ suspend: true })).status).toBe(200);
    await writeStatus('ExportScript', 'old', { observedGeneration: 2 });
    expect(await patch({ maxRows: 19_000_000 })).toMatchObject({
      status: 422,
      message: expect.stringContaining('maxRows'),
    });
    expect(await patch({ window: '47h' })).toMatchObject({ status: 422, message: expect.stringContaining('window') });
    expect((await patch({ maxRows: 5, window: '1h' })).status).toBe(200);
    await plane.kubectl(['delete', 'exs', 'old']);
  });
});
