// What the operator asks of the API server, against what config/rbac lets it: nothing is refused, nothing is granted for nothing.
// And what it is trusted with shows up nowhere: X9's canary.
import { globSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { clusterMissing } from '../cluster/binaries.ts';
import { waitFor } from '../cluster/instance.ts';
import { configMap, plugin, script, secret, tickScript } from './objects.ts';
import type { Operator } from './operator-process.ts';
import { startProcess } from './processes.ts';
import { grantsIn, judgeRights, type RightsUse } from './rights-used.ts';
import { SETTINGS, startWorld, SYSTEM, type World } from './world.ts';

jest.setTimeout(180_000);
const describeCluster = clusterMissing === undefined ? describe : describe.skip;
const ACCOUNT = `system:serviceaccount:${SYSTEM}:sluice-operator`;

/** Rights that this suite need not use, and why they are granted. */
const NOT_USED_HERE: Readonly<Record<string, string>> = {
  'sluice-operator-watched: patch events.events.k8s.io': 'an event that comes again within minutes: test/kube/events',
  'sluice-operator: patch events.events.k8s.io': 'the same',
  'sluice-operator-watched: update otelplugins/finalizers.sluice.dev':
    'asked for by OwnerReferencesPermissionEnforcement, which few clusters have on',
  'sluice-operator: update deployments/finalizers.apps': 'the same',
  'sluice-operator: delete daemonsets.apps': 'where a field that cannot be changed must be: test/controllers/workloads',
  'sluice-operator: delete services': 'the same',
  'sluice-operator: delete statefulsets.apps': 'the same',
  'sluice-operator: delete poddisruptionbudgets.policy': 'fewer runtimes, when their spools are empty: real nodes',
  'sluice-operator: delete pods': 'pods on nodes that are gone: test/controllers/workloads',
};

describeCluster('rights', () => {
  let world: World;
  let operator: Operator;
  beforeAll(async () => {
    world = await startWorld({ name: 'rights' });
    await world.kubectl(['apply', '-k', 'config/default']);
  }, 600_000);
  afterAll(() => world?.stop());
  const told = (steps: () => Promise<void>) => (): Promise<void> => world.told(steps);

  const PARTS = {
    header: 'canary-header-7c1d%/+&',
    user: 'canary-user-41f0',
    password: 'canary-password-93ae%&=',
    bearer: 'canary-bearer-e5b2',
    key: 'canary-key-0d44',
  };

  test(
    'what the suite is about: plugins, scripts, Secrets, ConfigMaps, presets, deployments',
    told(async () => {
      operator = await world.operator({ name: 'leads' });
      await operator.leads();
      const { endpoint } = world.receiver;
      const ref = (name: string, key: string): object => ({ secretKeyRef: { name, key } });
      // a destination that says the credentials back
      world.receiver.answer(({ metadata }) => {
        const own = [metadata.get('api-key'), metadata.get('authorization')].flat().map(String);
        const decoded = own.map((text) => Buffer.from(text.replace('Basic ', ''), 'base64').toString());
        const said = [...own, ...own.map(encodeURIComponent), ...decoded.filter((text) => text.startsWith('canary'))];
        return { kind: 'status', code: status.UNAUTHENTICATED, details: `who are you? ${said.join(' ')}` };
      });
      const pem = (what: string, text: string): string => `-----BEGIN ${what}-----\n${text}\n-----END ${what}-----\n`;
      await world.apply(
        secret('creds', SYSTEM, {
          ...PARTS,
          'tls.crt': pem('CERTIFICATE', 'AAAA'),
          'tls.key': pem('PRIVATE KEY', PARTS.key),
        }),
        plugin('header', SYSTEM, endpoint, { headers: [{ name: 'api-key', valueFrom: ref('creds', 'header') }] }),
        plugin('basic', SYSTEM, endpoint, {
          auth: { basic: { username: ref('creds', 'user'), password: ref('creds', 'password') } },
        }),
        plugin('bearer', SYSTEM, endpoint, { auth: { bearer: ref('creds', 'bearer') } }),
        plugin('tls', SYSTEM, endpoint, { tls: { mode: 'TLS', clientCertificate: { secretRef: { name: 'creds' } } } }),
        ...['header', 'basic', 'bearer', 'tls'].map((name) => script(name, SYSTEM, name)),
        plugin('pre', SYSTEM, endpoint, {}, { presets: { include: ['http-metrics'] } }),
        configMap('texts', 'default', { text: tickScript('text') }),
        plugin('text', 'default', endpoint),
        script('text', 'default', 'text', { script: { configMapKeyRef: { name: 'texts', key: 'text' } } }),
      );
      for (const name of ['header', 'basic', 'bearer']) {
        await world.scriptIs(name, 'Ready', 'False/ExportFailing');
        const refused = await world.scriptIs(name, 'Delivered', 'False/Unauthorized');
        expect(refused.status?.lastError).toMatchObject({ stage: 'Export', code: 'UNAUTHENTICATED' });
      }
      await world.scriptIs('pre-http-metrics', 'Compiled', 'True/Compiled');
      const preset = JSON.stringify({ spec: { presets: { include: [] } } });
      await world.kubectl(['patch', 'otelp', 'pre', '-n', SYSTEM, '--type=merge', '-p', preset]);
      await waitFor('the preset to go', async () => (await world.script('pre-http-metrics')) === undefined, 30_000);
      await world.scriptIs('text', 'Compiled', 'True/Compiled', 'default');
      await world.goesOn();
    }),
  );

  test(
    'X9: no secret is in a log, an event, a status, a checkpoint, a metric or a dump',
    told(async () => {
      // canaries of the length that something could be cut in
      const forms = Object.values(PARTS).flatMap((value) => [
        value,
        encodeURIComponent(value),
        Buffer.from(value).toString('base64'),
        Buffer.from(`${PARTS.user}:${value}`).toString('base64'),
      ]);
      const dir = mkdtempSync(join(tmpdir(), 'sluice-canary-'));
      try {
        const dump = startProcess([
          process.execPath,
          'src/main.ts',
          'dump',
          join(dir, 'dump'),
          '--kubeconfig',
          world.plane.kubeconfig,
        ]);
        expect(await dump.ended).toMatchObject({ code: 0 });
        const files = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((path) =>
          statSync(join(dir, path)).isFile(),
        );
        const get = (what: string): Promise<string> => world.kubectl(['get', what, '-A', '-o', 'json']);
        const places: Record<string, string> = {
          'the log': operator.stderr() + operator.stdout(),
          'the runtime’s log': world.runtime.process.stdout() + world.runtime.process.stderr(),
          metrics: await operator.metrics(),
          readiness: (await operator.health('/readyz')).body,
          events: await get('events'),
          plugins: await get('otelplugins'),
          scripts: await get('exportscripts'),
          checkpoints: await get('configmaps'),
          ...Object.fromEntries(files.map((path) => [`dump/${path}`, readFileSync(join(dir, path), 'utf8')])),
        };
        const found = Object.entries(places).flatMap(([place, text]) =>
          forms.filter((form) => text.includes(form)).map((form) => `${form} in ${place}`),
        );
        expect(found).toEqual([]);
        // the destination's answer is there, with its middle masked
        expect(places['scripts']).toContain('who are you?');
        expect(places['scripts']).toContain('***');
        expect(Object.keys(places).length).toBeGreaterThan(12);
      } finally {
        rmSync(dir, { recursive: true });
      }
      expect(await operator.terminate()).toBe(0);
    }),
  );

  test(
    'X3: with the workloads to deploy',
    told(async () => {
      world.receiver.answer(() => ({ kind: 'ok' }));
      const deploying = await world.operator({ name: 'deploys', runtimes: [] });
      await deploying.leads();
      const made = (kind: string, name: string): Promise<void> =>
        waitFor(
          `${kind} ${name}`,
          async () =>
            (await world.kubectl(['get', kind, name, '-n', SYSTEM, '--ignore-not-found', '-o', 'name'])) !== '',
          60_000,
        );
      await made('statefulset', 'sluice-runtime');
      await made('daemonset', 'sluice-collector');
      await made('networkpolicy', 'sluice-runtime');
      await made('secret', 'sluice-runtime-tls');
      // what the settings do not want any more goes
      writeFileSync(join(world.dir, 'deploys.yaml'), `${SETTINGS}network: {policies: false}\n`);
      const policies = async (): Promise<string> =>
        world.kubectl(['get', 'networkpolicy', 'sluice-runtime', '-n', SYSTEM, '--ignore-not-found', '-o', 'name']);
      await waitFor('the policies to go', async () => (await policies()) === '', 60_000);
      expect(await deploying.terminate()).toBe(0);
    }),
  );

  const rbac = (): string =>
    globSync('config/rbac/*.yaml')
      .map((file) => readFileSync(file, 'utf8'))
      .join('\n---\n');

  test(
    'X1–X7, T8: nothing is refused, nothing is beyond the rules, and every rule is used or has its reason',
    told(async () => {
      const use = judgeRights(world.plane.auditEvents(), ACCOUNT, grantsIn(rbac(), 'sluice-operator'));
      expect({ denied: use.denied, beyond: use.beyond }).toEqual({ denied: [], beyond: [] });
      expect(use.unused.filter((one) => NOT_USED_HERE[one] === undefined)).toEqual([]);
    }),
  );

  test(
    'X4: in single namespaces, with rights there alone',
    told(async () => {
      await world.kubectl(['delete', 'clusterrolebinding', 'sluice-operator-watched']);
      await world.kubectl(['apply', '-k', 'config/namespaced']);
      const yaml = await world.kubectl(['kustomize', 'config/namespaced']);
      const from = world.plane.auditEvents().length;
      const alone = await world.operator({ name: 'alone', settings: `${SETTINGS}watchNamespaces: [${SYSTEM}]\n` });
      await alone.leads();
      await alone.ready();
      await world.apply(script('own', SYSTEM, 'header'), script('foreign', 'tenant', 'header'));
      await world.scriptIs('own', 'Delivered', 'True/Acknowledged');
      const use: RightsUse = judgeRights(
        world.plane.auditEvents().slice(from),
        ACCOUNT,
        grantsIn(yaml, 'sluice-operator'),
      );
      expect({ denied: use.denied, beyond: use.beyond }).toEqual({ denied: [], beyond: [] });
      expect((await world.script('foreign', 'tenant'))?.status?.conditions).toBeUndefined();
      expect(await alone.terminate()).toBe(0);
    }),
  );
});
