// What users see while they apply, repair and take away: the situations of operator.md section 1.4 with kubectl, one after the
// other on one operator.
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { clusterMissing } from '../cluster/binaries.ts';
import { waitFor } from '../cluster/instance.ts';
import { conditionOf, conditionsOf, configMap, plugin, script, secret, tickScript } from './objects.ts';
import type { Operator } from './operator-process.ts';
import { gapsAndRepeats } from './received.ts';
import { gapsAndOverlaps } from './runtime-process.ts';
import { startWorld, SYSTEM, type World } from './world.ts';

jest.setTimeout(120_000);
const describeCluster = clusterMissing === undefined ? describe : describe.skip;

const READY = [
  'Ready=True/Scheduled',
  'Resolved=True/Resolved',
  'Compiled=True/Compiled',
  'Scheduled=True/Scheduled',
  'Delivered=True/Acknowledged',
  'Complete=True/NothingMissing',
];

describeCluster('what users see', () => {
  let world: World;
  let operator: Operator;
  beforeAll(async () => {
    world = await startWorld({ name: 'conditions' });
    operator = await world.operator();
    await operator.leads();
    await world.apply(plugin('main', SYSTEM, world.receiver.endpoint));
  }, 600_000);
  afterAll(() => world?.stop());

  const told = (steps: () => Promise<void>) => (): Promise<void> => world.told(steps);
  const patch = (what: string, name: string, change: object, namespace = SYSTEM): Promise<string> =>
    world.kubectl(['patch', what, name, '-n', namespace, '--type=merge', '-p', JSON.stringify(change)]);
  const remove = (what: string, name: string, namespace = SYSTEM): Promise<string> =>
    world.kubectl(['delete', what, name, '-n', namespace, '--timeout=30s']);
  const isReady = (what: string, name: string, namespace = SYSTEM): Promise<string> =>
    world.kubectl(['wait', '--for=condition=Ready', what, name, '-n', namespace, '--timeout=50s']);
  const uidOf = async (name: string, namespace = SYSTEM): Promise<string> =>
    (await world.plugin(name, namespace))?.metadata.uid ?? '';

  test(
    'C19, C20: a script before its plugin waits for it; all conditions are there from the first write',
    told(async () => {
      await world.apply(script('early', SYSTEM, 'late'));
      const waiting = await world.scriptIs('early', 'Ready', 'False/PluginNotFound');
      expect(conditionsOf(waiting)).toEqual([
        'Ready=False/PluginNotFound',
        'Resolved=False/PluginNotFound',
        'Compiled=True/Compiled',
        'Scheduled=False/NotReady',
        'Delivered=Unknown/Pending',
        'Complete=True/NothingMissing',
        'Reconciling=True/PluginNotFound',
      ]);
      await world.apply(plugin('late', SYSTEM, world.receiver.endpoint));
      await isReady('exs', 'early');
      expect(conditionsOf(await world.scriptIs('early', 'Delivered', 'True/Acknowledged'))).toEqual(READY);
      await world.pluginIs('late', 'Delivered', 'True/Acknowledged');
      expect((await world.plugin('late'))?.status?.scripts).toBe('1/1');
    }),
  );

  test(
    'X8: a Secret elsewhere is forbidden until its owner runs the two commands of the message …',
    told(async () => {
      const auth = { bearer: { secretKeyRef: { name: 'theirs', key: 'token' } } };
      await world.apply(
        secret('theirs', 'tenant', { token: 'tenants-own' }),
        plugin('theirs', 'tenant', world.receiver.endpoint, { auth }),
        script('theirs', 'tenant', 'theirs'),
      );
      const forbidden = await world.pluginIs('theirs', 'CredentialsResolved', 'False/SecretForbidden', 'tenant');
      await world.scriptIs('theirs', 'Ready', 'False/CredentialsMissing', 'tenant');
      const { message = '' } = conditionOf(forbidden, 'CredentialsResolved') ?? {};
      const commands = message.match(/kubectl [^;&\n`]+/g) ?? [];
      expect(commands).toHaveLength(2);
      for (const command of commands) await world.kubectl(command.trim().split(/\s+/).slice(1));
    }),
  );

  test(
    'R21, X8: a Secret that is missing, comes, is rotated and goes',
    told(async () => {
      const header = { name: 'api-key', valueFrom: { secretKeyRef: { name: 'backend', key: 'token' } } };
      await world.apply(
        plugin('keyed', SYSTEM, world.receiver.endpoint, { headers: [header] }),
        script('keyed', SYSTEM, 'keyed'),
      );
      await world.pluginIs('keyed', 'CredentialsResolved', 'False/SecretNotFound');
      const missing = await world.scriptIs('keyed', 'Ready', 'False/CredentialsMissing');
      expect(conditionOf(missing, 'Reconciling')?.status).toBe('True');
      await world.apply(secret('backend', SYSTEM, { other: 'x' }));
      await world.pluginIs('keyed', 'CredentialsResolved', 'False/KeyNotFound');
      await world.apply(secret('backend', SYSTEM, { token: Buffer.from([0xff, 0xfe, 0x00, 0x80]) }));
      await world.pluginIs('keyed', 'CredentialsResolved', 'False/InvalidValue');
      await world.apply(secret('backend', SYSTEM, { token: 'two\nlines' }));
      const invalid = await world.pluginIs('keyed', 'CredentialsResolved', 'False/InvalidValue');
      expect(conditionOf(invalid, 'CredentialsResolved')?.message).toContain('key "token" of Secret "backend"');
      await world.apply(secret('backend', SYSTEM, { token: 'first\n' }));
      await isReady('otelp', 'keyed');
      await isReady('exs', 'keyed');
      const sentWith = (value: string): Promise<void> =>
        waitFor(
          `a request with ${value}`,
          () => world.receiver.calls.some(({ metadata }) => metadata.get('api-key').includes(value)),
          30_000,
        );
      await sentWith('first');
      const uid = await uidOf('keyed');
      const puts = (): string[] =>
        world.runtime.lines().flatMap((line) => (line.kind === 'put' && line.uid === uid ? [line.revision] : []));
      expect(new Set(puts()).size).toBe(1);
      const { pid } = operator;
      await world.apply(secret('backend', SYSTEM, { token: 'second' }));
      await sentWith('second');
      expect(new Set(puts()).size).toBe(2);
      expect([operator.isRunning, operator.pid]).toEqual([true, pid]);
      await remove('secret', 'backend');
      await world.pluginIs('keyed', 'CredentialsResolved', 'False/SecretNotFound');
      await world.scriptIs('keyed', 'Ready', 'False/CredentialsMissing');
    }),
  );

  test(
    'R21: a script of a ConfigMap is compiled again whenever the text changes, and its line is named',
    told(async () => {
      const key = { script: { configMapKeyRef: { name: 'texts', key: 'a.pxl' } } };
      await world.apply(script('text', SYSTEM, 'main', key));
      await world.scriptIs('text', 'Resolved', 'False/ConfigMapNotFound');
      await world.apply(configMap('texts', SYSTEM, { 'b.pxl': '' }));
      await world.scriptIs('text', 'Resolved', 'False/KeyNotFound');
      await world.apply(configMap('texts', SYSTEM, { 'a.pxl': tickScript('text-one') }));
      const one = await world.scriptIs('text', 'Delivered', 'True/Acknowledged');
      await world.apply(configMap('texts', SYSTEM, { 'a.pxl': `${tickScript('text')}\npx.nonsense()\n` }));
      const broken = await world.scriptIs('text', 'Ready', 'False/CompileFailed');
      // line 7, where the text's own lines are counted from 1
      expect(conditionOf(broken, 'Compiled')?.message).toMatch(/^7:\d+ /);
      expect(broken.status?.lastError).toMatchObject({ stage: 'Compile', line: 7 });
      expect(conditionOf(broken, 'Stalled')?.reason).toBe('CompileFailed');
      await world.apply(configMap('texts', SYSTEM, { 'a.pxl': tickScript('text-two') }));
      await world.scriptIs('text', 'Ready', 'True/Scheduled');
      await waitFor('the new text', () => world.receiver.ticks('text-two').length > 0, 30_000);
      const two = await world.script('text');
      expect(two?.status?.scriptHash).not.toBe(one.status?.scriptHash);
      expect(conditionOf(two, 'Stalled')).toBeUndefined();
      expect(world.receiver.ticks('text')).toEqual([]);
    }),
  );

  test(
    'C18, C20: a script that does not compile says where, and nothing of it is left once it does',
    told(async () => {
      await world.apply(
        script('broken', SYSTEM, 'main', { script: { inline: 'import px\npx.display(px.DataFrame(1)' } }),
      );
      const broken = await world.scriptIs('broken', 'Ready', 'False/CompileFailed');
      expect(conditionOf(broken, 'Compiled')?.message).toMatch(/^\d+:\d+ /);
      expect(conditionsOf(broken).at(-1)).toBe('Stalled=True/CompileFailed');
      await patch('exs', 'broken', { spec: { script: { inline: tickScript('broken') } } });
      await isReady('exs', 'broken');
      expect(conditionsOf(await world.scriptIs('broken', 'Delivered', 'True/Acknowledged'))).toEqual(READY);
      expect((await world.script('broken'))?.status?.lastError).toBeUndefined();
    }),
  );

  test(
    'R13: a plugin that is deleted, and another one of its name',
    told(async () => {
      await world.apply(plugin('twice', SYSTEM, world.receiver.endpoint), script('twice', SYSTEM, 'twice'));
      await world.scriptIs('twice', 'Delivered', 'True/Acknowledged');
      const first = await uidOf('twice');
      await remove('otelp', 'twice');
      await world.scriptIs('twice', 'Ready', 'False/PluginNotFound');
      const isRemoved = (): boolean =>
        world.runtime.lines().some((line) => line.kind === 'removed' && line.uid === first && line.graceMs === 30_000);
      await waitFor('the removal of the destination', isRemoved, 30_000);
      await world.apply(plugin('twice', SYSTEM, world.receiver.endpoint));
      await isReady('exs', 'twice');
      const second = await uidOf('twice');
      await waitFor(
        'the other one',
        () => world.runtime.lines().some((line) => line.kind === 'put' && line.uid === second),
        30_000,
      );
      expect(second).not.toBe(first);
    }),
  );

  test(
    'R13: a script of a name that was another’s begins anew',
    told(async () => {
      await world.apply(script('again', SYSTEM, 'main'));
      const first = await world.scriptIs('again', 'Delivered', 'True/Acknowledged');
      await world.kubectl(['replace', '--force', '-f', '-'], { input: script('again', SYSTEM, 'main') });
      const second = await world.scriptIs('again', 'Delivered', 'True/Acknowledged');
      expect(second.metadata.uid).not.toBe(first.metadata.uid);
      const count = world.runtime.committed(second.metadata.uid).length;
      expect(second.status?.totals.windows).toBeLessThanOrEqual(count);
    }),
  );

  test(
    'X14: a plugin of another namespace that is missing and one that does not allow it read the same',
    told(async () => {
      const of = (name: string): object => ({ pluginRef: { name, namespace: SYSTEM } });
      await world.apply(script('guest', 'tenant', '', of('main')), script('nobody', 'tenant', '', of('there-is-none')));
      const messageOf = async (name: string): Promise<string | undefined> =>
        conditionOf(await world.scriptIs(name, 'Ready', 'False/PluginNotFound', 'tenant'), 'Ready')?.message;
      const [guest, nobody] = [await messageOf('guest'), await messageOf('nobody')];
      expect(guest).toBe(nobody?.replace('there-is-none', 'main'));
      await patch('otelp', 'main', { spec: { allowedNamespaces: 'All' } });
      await isReady('exs', 'guest', 'tenant');
      await world.scriptIs('guest', 'Delivered', 'True/Acknowledged', 'tenant');
      expect(world.receiver.paths('guest')).toEqual(['/tenant']);
      await patch('otelp', 'main', { spec: { allowedNamespaces: 'Same' } });
      await world.scriptIs('guest', 'Ready', 'False/PluginNotFound', 'tenant');
      await remove('exs', 'guest', 'tenant');
      await remove('exs', 'nobody', 'tenant');
    }),
  );

  test(
    'X15: whatever a script says, it sees the pods of its own namespace',
    told(async () => {
      const inline = tickScript('sneak').replace('px.export', "df.ns = df.ctx['namespace']\npx.export");
      await world.apply(
        plugin('sneak', 'default', world.receiver.endpoint),
        script('sneak', 'default', 'sneak', {
          script: { inline: `${inline}px.display(df[df.ns == '${SYSTEM}'])\n` },
        }),
      );
      await world.scriptIs('sneak', 'Delivered', 'True/Acknowledged', 'default');
      expect(world.receiver.paths('sneak')).toEqual(['/default']);
      const table = [
        ['http_events', 'network_stats'],
        ['df.latency', 'df.rx_bytes'],
        ['df.req_path', 'df.pod_id'],
      ].reduce((text, [from = '', to = '']) => text.replace(from, to), tickScript('table'));
      await world.apply(script('table', 'default', 'sneak', { script: { inline: table } }));
      // rows of that table name no process, so no namespace
      const closed = await world.scriptIs('table', 'Ready', 'False/RunFailing', 'default');
      expect(closed.status?.lastError?.message).toMatch(/not split by namespace/);
    }),
  );

  test(
    'C20: a plugin that is disabled keeps its scripts, which are not broken',
    told(async () => {
      await world.apply(plugin('off', SYSTEM, world.receiver.endpoint), script('off', SYSTEM, 'off'));
      await world.scriptIs('off', 'Delivered', 'True/Acknowledged');
      await patch('otelp', 'off', { spec: { enabled: false } });
      const off = await world.scriptIs('off', 'Ready', 'True/Suspended');
      expect(conditionOf(off, 'Scheduled')).toMatchObject({ status: 'False', reason: 'Suspended' });
      expect(conditionsOf(off).filter((one) => /Reconciling|Stalled/.test(one))).toEqual([]);
      await world.pluginIs('off', 'Ready', 'True/Suspended');
      await patch('otelp', 'off', { spec: { enabled: true } });
      await world.scriptIs('off', 'Ready', 'True/Scheduled');
    }),
  );

  test(
    'S8, S12: suspended, run by hand meanwhile, resumed at the current window with the gap on record',
    told(async () => {
      await world.apply(script('pause', SYSTEM, 'main'));
      const { metadata } = await world.scriptIs('pause', 'Delivered', 'True/Acknowledged');
      await patch('exs', 'pause', { spec: { suspend: true } });
      await world.scriptIs('pause', 'Ready', 'True/Suspended');
      const committed = (): readonly { start: string; end: string; outcome: string }[] =>
        world.runtime.committed(metadata.uid);
      const before = committed().length;
      const lastEndMs = Number(BigInt(committed().at(-1)?.end ?? 0) / 1_000_000n);
      await waitFor('a window that was left out', () => Date.now() > lastEndMs + 2000, 30_000);
      const annotate = (token: string): Promise<string> =>
        world.kubectl(['annotate', 'exs', 'pause', '-n', SYSTEM, '--overwrite', `sluice.dev/run-now=${token}`]);
      const answered = async (token: string): Promise<string> => {
        await annotate(token);
        let outcome = '';
        await waitFor(
          `an answer to ${token}`,
          async () => {
            const { lastManualRun } = (await world.script('pause'))?.status ?? {};
            outcome = lastManualRun?.outcome ?? '';
            return lastManualRun?.token === token;
          },
          30_000,
        );
        return outcome;
      };
      expect(await answered('one')).toBe('Complete');
      expect(committed().length).toBe(before + 1);
      await patch('exs', 'pause', { spec: { suspend: false } });
      await world.scriptIs('pause', 'Ready', 'True/Scheduled');
      await waitFor(
        'a window after the gap',
        () => committed().at(-1)?.outcome === 'Complete' && committed().some(({ outcome }) => outcome === 'Skipped'),
        30_000,
      );
      expect(gapsAndOverlaps(committed())).toEqual([]);
      const incomplete = await world.scriptIs('pause', 'Complete', 'False/Suspended');
      expect(incomplete.status?.totals.missed).toBeGreaterThan(0);
      // the same token again asks nothing new; another one is answered from the ledger or by the newest window
      const { lastManualRun } = incomplete.status ?? {};
      await annotate('one');
      expect((await world.script('pause'))?.status?.lastManualRun).toEqual(lastManualRun);
    }),
  );

  test(
    'S4: what is delivered is each row once',
    told(async () => {
      const ticks = world.receiver.ticks('early', `/${SYSTEM}`);
      expect(ticks.length).toBeGreaterThan(50);
      expect(gapsAndRepeats(ticks)).toEqual({ missing: [], repeated: [] });
    }),
  );

  test(
    'C2: a script of the greatest size works, a larger one is refused by the API server',
    told(async () => {
      const text = tickScript('large');
      const filled = (chars: number): string => `${text}#${'x'.repeat(chars - text.length - 1)}`;
      await world.kubectl(['create', '-f', '-'], {
        input: script('large', SYSTEM, 'main', { script: { inline: filled(131_072) } }),
      });
      await world.scriptIs('large', 'Delivered', 'True/Acknowledged');
      const tooLarge = world.kubectl(['create', '-f', '-'], {
        input: script('larger', SYSTEM, 'main', { script: { inline: filled(131_073) } }),
      });
      await expect(tooLarge).rejects.toThrow(/Too long|too long/);
      await remove('exs', 'large');
    }),
  );

  test(
    'X8: … and is read from then on, and nothing else of that namespace',
    told(async () => {
      await isReady('otelp', 'theirs', 'tenant');
      await isReady('exs', 'theirs', 'tenant');
      await waitFor(
        'a request with the token',
        () => world.receiver.calls.some(({ metadata }) => metadata.get('authorization').includes('Bearer tenants-own')),
        30_000,
      );
      expect(world.receiver.paths('theirs')).toEqual(['/tenant']);
      const other = { bearer: { secretKeyRef: { name: 'another', key: 'token' } } };
      await world.apply(plugin('another', 'tenant', world.receiver.endpoint, { auth: other }));
      await world.pluginIs('another', 'CredentialsResolved', 'False/SecretForbidden', 'tenant');
    }),
  );

  test(
    'definition of done 9: of a hundred scripts the broken one alone is not Ready',
    told(async () => {
      const many = Array.from({ length: 100 }, (_, i) =>
        script(`many-${i}`, 'default', 'sneak', {
          window: '1h',
          script: { inline: i === 42 ? 'import px\npx.no_such_function()\n' : tickScript(`many-${i}`) },
        }),
      );
      await world.createScripts(...many);
      const mine = async () => (await world.scripts()).filter(({ metadata }) => metadata.name.startsWith('many-'));
      await waitFor(
        'a hundred scripts',
        async () => {
          const settled = (await mine()).filter((one) =>
            /^(True|False)$/.test(conditionOf(one, 'Ready')?.status ?? ''),
          );
          return settled.length === 100;
        },
        90_000,
      );
      const broken = (await mine()).filter((one) => conditionOf(one, 'Ready')?.status !== 'True');
      expect(broken.map(({ metadata }) => metadata.name)).toEqual(['many-42']);
      expect(conditionOf(broken[0], 'Ready')?.message).toMatch(/^2:\d+ /);
    }),
  );
});
