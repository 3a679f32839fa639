// A folder with everything that can be wrong with manifests: each problem is told where it is, the rest runs on, and
// repairing a file is enough.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startReceiver, type Receiver } from '../../src/exporters/otlp/receiver.ts';
import { countManifest, pluginManifest, scratch, startLocal, until, type Local, type LocalEvent } from './harness.ts';
import { bySecond, traffic } from './traffic.ts';
import { conditionOf, gapsOf, ledgerOf, sumsOf, windowsOf } from './windows.ts';

const ENDPOINT = 'backend.example:4317';
/** A script of its own metric, so that what arrives tells whose it is. */
const script = (name: string, plugin = 'collector'): string =>
  countManifest('1s', name)
    .replace("Sum(name='requests'", `Sum(name='${name}'`)
    .replace('pluginRef: { name: collector }', `pluginRef: { name: ${plugin} }`);
const plugin = (name: string): string => pluginManifest(ENDPOINT).replace('name: collector', `name: ${name}`);
const SECRET = 'apiVersion: v1\nkind: Secret\nmetadata: { name: late, namespace: test }\nstringData: { token: abc }\n';
const bomb = `a: &a [x, x, x, x, x, x, x, x, x]\n${'bcdefgh'
  .split('')
  .map((name, i) => `${name}: &${name} [${Array.from({ length: 9 }, () => `*${'abcdefgh'[i]}`).join(', ')}]`)
  .join('\n')}\n`;

describe('manifests with mistakes', () => {
  const place = scratch();
  const folder = join(place.dir, 'manifests');
  const state = join(place.dir, 'state');
  const requests: object[] = [];
  let receiver: Receiver;
  let local: Local;
  let expected: Map<bigint, number>;

  const put = (name: string, text: string | Uint8Array): void => writeFileSync(join(folder, name), text);
  const problems = (): NonNullable<LocalEvent['problems']> =>
    local.events.findLast(({ event }) => event === 'problems')?.problems ?? [];
  const problemsOf = (name: string) => problems().filter(({ file }) => file === join(folder, name));
  const pluginCondition = (name: string, type: string) =>
    local.events
      .findLast((one) => one.event === 'status' && one.kind === 'OtelPlugin' && one.name === name)
      ?.status?.conditions.find((condition) => condition.type === type);
  const arrived = (metric: string): bigint => windowsOf(requests, metric).at(-1)?.start ?? 0n;
  /** A window that begins after now has arrived. */
  const runsOn = async (metric: string): Promise<void> => {
    const from = BigInt(Date.now()) * 1_000_000n;
    await until(`${metric} runs on: ${JSON.stringify(local.status(metric)?.conditions)}`, () => arrived(metric) > from);
  };

  beforeAll(async () => {
    receiver = await startReceiver({ grpc: '127.0.0.1:0' });
    receiver.onRequest(({ json }) => void requests.push(json));
    mkdirSync(folder);
    put('plugin.yaml', plugin('collector'));
    put('good.yaml', script('good'));
    put('unknown.yaml', script('unknown').replace('window: 1s', 'windw: 1s'));
    put('type.yaml', script('type').replace('window: 1s', 'window: 1s\n  maxRows: many'));
    put('torn.yaml', script('torn').replace('metadata: { name: torn', 'metadata: { name: torn: ['));
    put('orphan.yaml', script('orphan', 'later'));
    put(
      'nokey.yaml',
      `${plugin('nokey')}    auth: { bearer: { secretKeyRef: { name: late, key: token } } }\n---${script('keyless', 'nokey')}`,
    );
    put('typo.yaml', script('typo').replace("ctx['service']", "ctx['servic']"));
    const zipkin = plugin('zipkin')
      .replace('OTLPGRPC', 'Zipkin')
      .replace(/endpoint: \S+/, 'endpoint: http://zipkin:9411');
    put('zipkin.yaml', `${zipkin}---${script('traces', 'zipkin')}`);
    put('twice.yaml', script('good'));
    put(
      'binary.yaml',
      Uint8Array.from({ length: 5000 }, (_, i) => (i * 7919) % 256),
    );
    put('bomb.yaml', `${bomb}apiVersion: v1\nkind: ConfigMap\n`);
    put('deep.yaml', '['.repeat(50_000));
    put('deep.json', `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`);
    put('list.yaml', '- a\n- b\n');
    put('nul.json', new Uint8Array(100));
    put('big.yaml', '#'.repeat(5 * 1024 * 1024));
    mkdirSync(join(folder, 'folder.yaml'));
    symlinkSync('nowhere', join(folder, 'link.yaml'));
    spawnSync('mkfifo', [join(folder, 'pipe.yaml')]);
    const recording = traffic({ seconds: 40 });
    expected = bySecond(recording.times);
    writeFileSync(join(place.dir, 'traffic.slrec'), recording.bytes);
    local = startLocal({
      manifests: folder,
      state,
      connectTo: { [ENDPOINT]: `127.0.0.1:${receiver.ports.grpc ?? 0}` },
      args: ['--from', join(place.dir, 'traffic.slrec')],
    });
    await local.capturing();
    await until('the manifests are read', () => problems().length > 0 && local.errors.length >= problems().length);
  });
  afterAll(async () => {
    await local?.stop();
    await receiver.close();
    place.remove();
  });

  test.each([
    ['unknown.yaml', { line: 7, path: 'spec.windw', message: expect.stringMatching(/did you mean window\?/) }],
    ['type.yaml', { line: 8, path: 'spec.maxRows', message: expect.stringMatching(/integer/) }],
    ['torn.yaml', { line: expect.any(Number), message: expect.stringMatching(/./) }],
    ['twice.yaml', { path: 'metadata.name', message: expect.stringMatching(/already defined in .*good\.yaml:2$/) }],
    ['binary.yaml', { message: 'is not text in UTF-8' }],
    ['bomb.yaml', { message: expect.stringMatching(/alias/) }],
    ['deep.yaml', { message: 'it is nested too deeply' }],
    ['deep.json', { message: 'it is nested too deeply' }],
    ['list.yaml', { message: 'a manifest is a mapping with apiVersion, kind and metadata' }],
    ['nul.json', { message: expect.stringMatching(/./) }],
    ['big.yaml', { message: 'is larger than 4 MiB and was not read' }],
    ['folder.yaml', { message: 'is not a file and was not read' }],
    ['link.yaml', { message: 'cannot be read (ENOENT)' }],
    ['pipe.yaml', { message: 'is not a file and was not read' }],
  ])('are told where they are: %s', (name, problem) => {
    expect(problemsOf(name)[0]).toMatchObject(problem);
    // on standard error, too, as lines of JSON and nothing else
    const lines = local.errors.map((line) => JSON.parse(line) as { message: string; problem?: string });
    expect(lines.some((line) => line.problem?.startsWith(join(folder, name)))).toBe(true);
  });

  test('are in the conditions where the object as such is right', async () => {
    expect(conditionOf(local.status('orphan'), 'Resolved')).toMatchObject({
      status: 'False',
      reason: 'PluginNotFound',
      message: expect.stringMatching(/test\/later/),
    });
    expect(conditionOf(local.status('typo'), 'Compiled')).toMatchObject({
      status: 'False',
      reason: 'CompileFailed',
      message: expect.stringMatching(/^4:\d+ .*servic.*service/),
    });
    expect(conditionOf(local.status('typo'), 'Ready')).toMatchObject({ status: 'False', reason: 'CompileFailed' });
    expect(conditionOf(local.status('keyless'), 'Resolved')).toMatchObject({
      status: 'False',
      reason: 'CredentialsMissing',
      message: expect.stringMatching(/^SecretNotFound: /),
    });
    expect(pluginCondition('nokey', 'CredentialsResolved')).toMatchObject({
      status: 'False',
      reason: 'SecretNotFound',
      message: expect.stringMatching(/"late"/),
    });
    expect(conditionOf(local.status('traces'), 'Resolved')).toMatchObject({ reason: 'DestinationNotAvailable' });
    expect(pluginCondition('zipkin', 'Ready')).toMatchObject({
      status: 'False',
      reason: 'DestinationNotAvailable',
      message: expect.stringMatching(/OTLPGRPC/),
    });
    await runsOn('good');
  });

  test('are over when the file is right, without a restart', async () => {
    put('unknown.yaml', script('unknown'));
    put('type.yaml', script('type'));
    put('torn.yaml', script('torn'));
    put('typo.yaml', script('typo'));
    put('later.yaml', plugin('later'));
    put('secret.yaml', SECRET);
    put('zipkin.yaml', `${plugin('zipkin')}---${script('traces', 'zipkin')}`);
    const names = ['unknown', 'type', 'torn', 'typo', 'orphan', 'keyless', 'traces'];
    await Promise.all(names.map(runsOn));
    for (const name of names) {
      await until(`${name} is well: ${JSON.stringify(local.status(name)?.conditions)}`, () =>
        local
          .status(name)
          ?.conditions.every(({ type, status }) => (type === 'Stalled' ? status === 'False' : status === 'True')),
      );
    }
    for (const name of ['unknown', 'type', 'torn', 'typo']) expect(problemsOf(`${name}.yaml`)).toEqual([]);
    expect(local.status('typo')?.lastError).toBeUndefined();
  });

  test('while a file is being edited cost no window', async () => {
    put('torn.yaml', script('torn').replace('window:', 'window'));
    await until('the problem is seen', () => problemsOf('torn.yaml').length > 0);
    const file = join(state, 'status', 'exportscript.test.torn.json');
    await until('its status is gone', () => !existsSync(file));
    // so long that windows end meanwhile
    await runsOn('good');
    put('torn.yaml', script('torn'));
    await runsOn('torn');
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ totals: expect.any(Object) });
  });

  test('a file that is taken away takes its script with it', async () => {
    rmSync(join(folder, 'typo.yaml'));
    const file = join(state, 'status', 'exportscript.test.typo.json');
    await until('its status is gone', () => !existsSync(file));
    const last = arrived('typo');
    await runsOn('good');
    await runsOn('good');
    // what was committed before may still have been on its way
    expect(arrived('typo')).toBeLessThanOrEqual(last + 1_000_000_000n);
  });

  test('and leave each script with all of its windows, once', async () => {
    expect(local.errors.filter((line) => /stack|\bat .*\.ts:/.test(line))).toEqual([]);
    expect(await local.stop()).toBe(0);
    for (const name of ['good', 'torn', 'unknown', 'orphan', 'keyless']) {
      const sums = sumsOf(windowsOf(requests, name));
      const [first, last] = [[...sums.keys()][0] ?? 0n, [...sums.keys()].at(-1) ?? 0n];
      expect(sums).toEqual(new Map([...expected].filter(([start]) => start >= first && start <= last)));
      expect(gapsOf(ledgerOf(state, name))).toEqual([]);
    }
  });
});
