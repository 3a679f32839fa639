// The tables of cases (test/crds) through a real API server: what it accepts, refuses and fills in is what our own
// validation does.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import { validateExportScript, validateOtelPlugin } from '../../src/crds/validate.ts';
import { manifestOf, type Manifest } from '../crds/case.ts';
import { MUTATIONS } from '../crds/mutations.ts';
import { FULL_PLUGINS, PLUGIN_CASES } from '../crds/plugin-cases.ts';
import { FULL_SCRIPT, SCRIPT_CASES } from '../crds/script-cases.ts';
import { binary, clusterMissing } from './binaries.ts';
import { startControlPlane, type ControlPlane } from './control-plane.ts';
import { CRD_FILES, installCrds, openRequests, pathOf, type Answer, type Requests } from './crd-requests.ts';

const describeCluster = clusterMissing === undefined ? describe : describe.skip;
const RUNS = Number(process.env['SLUICE_FUZZ_RUNS'] ?? 150);

const validate = (manifest: Manifest) =>
  manifest.kind === 'OtelPlugin' ? validateOtelPlugin(manifest) : validateExportScript(manifest);
const specOf = (value: unknown): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, 'spec') : undefined;

describeCluster('T7 the custom resources', () => {
  let plane: ControlPlane;
  let ask: Requests;
  let close = (): void => {};
  beforeAll(async () => {
    plane = await startControlPlane({ name: 'crds', controllerManager: false });
    ({ ask, close } = openRequests(plane));
    await installCrds(plane);
  }, 600_000);
  afterAll(async () => {
    close();
    await plane?.stop();
  });

  const create = (manifest: Manifest): Promise<Answer> =>
    ask('POST', `${pathOf(manifest.kind)}?dryRun=All&fieldValidation=Strict`, manifest);

  test.each([...PLUGIN_CASES, ...SCRIPT_CASES, ...MUTATIONS])('$title', async ({ manifest, isAccepted, message }) => {
    const answer = await create(manifest);
    expect([answer.status, answer.message]).toEqual(
      isAccepted ? [201, ''] : [expect.any(Number), expect.stringMatching(/./)],
    );
    if (message !== undefined) expect(answer.message).toContain(message);
    if (!isAccepted) return;
    // C4: the same defaults, and nothing else
    const ours = validate(manifest);
    expect(specOf(answer.body)).toEqual(ours.ok ? ours.value.spec : ours.problems);
  });

  describe('C3 agree on any text', () => {
    const seed = randomInt(2 ** 31);
    /** Both sides accept or both refuse. */
    const agree = (name: string, text: fc.Arbitrary<string>, manifestsOf: (text: string) => Manifest[]): void =>
      test(
        `${name} (seed ${seed})`,
        async () => {
          let accepted = 0;
          await fc.assert(
            fc.asyncProperty(text, async (one) => {
              for (const manifest of manifestsOf(one)) {
                const answer = await create(manifest);
                const ours = validate(manifest);
                expect([one, answer.status === 201, answer.message]).toEqual([one, ours.ok, expect.any(String)]);
                if (ours.ok) accepted++;
              }
            }),
            { seed, numRuns: RUNS },
          );
          // else the property would say little
          expect(accepted).toBeGreaterThan(RUNS / 100);
        },
        120_000 + RUNS * 100,
      );

    const digits = fc.oneof(
      fc.nat(99).map(String),
      fc.constantFrom('0', '1', '60', '24', '0.5', '1.000000001', '1.1', '9223372036', '2562047.8'),
    );
    const part = fc.tuple(digits, fc.constantFrom('ms', 's', 'm', 'h')).map((pair) => pair.join(''));
    const duration = fc.oneof(
      fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('')),
      fc.string({ unit: fc.constantFrom(...Array.from('0159.msh-+ u')), maxLength: 12 }),
    );
    agree('as a window', duration, (window) => [manifestOf('ExportScript', { ...FULL_SCRIPT, window })]);
    agree('as a timeout', duration, (timeout) => [manifestOf('ExportScript', { ...FULL_SCRIPT, timeout })]);

    const endpoint = fc
      .tuple(
        fc.constantFrom('', '', '', 'http://', 'https://', 'https://', 'ftp://', 'HTTP://', '//'),
        fc.constantFrom('', '', '', '', '', '', 'me@', 'a:b@'),
        fc.oneof(
          fc.constantFrom('otel', 'otel.svc', '10.0.0.1', '[::1]', 'h', 'h_x', '[]', '', '-h', 'h.', 'hö'),
          fc.string({ unit: fc.constantFrom(...Array.from('ab1.-_:@[]')), maxLength: 6 }),
        ),
        fc.constantFrom('', '', ':4317', ':4317', ':65535', ':0', ':65536', ':', ':a', ':04'),
        fc.oneof(
          fc.constantFrom('', '', '/', '/v1', '?a=b', '#f', '/a@b'),
          fc.string({ unit: fc.constantFrom(...Array.from('/?#a @%\u00e9\n')), maxLength: 5 }),
        ),
      )
      .map((parts) => parts.join(''));
    // what is put together from all parts is rarely right as a whole
    const wellFormed = fc
      .tuple(
        fc.constantFrom('', '', 'http://', 'https://'),
        fc.constantFrom('otel', 'otel.svc', '10.0.0.1', '[::1]', 'h'),
        fc.constantFrom(':4317', ':65535', ':1'),
        fc.constantFrom('', '/', '/v1'),
      )
      .map((parts) => parts.join(''));
    agree(
      'as an endpoint',
      fc.oneof({ weight: 3, arbitrary: endpoint.filter((text) => text !== '') }, { weight: 1, arbitrary: wellFormed }),
      (text) =>
        ['OTLPGRPC', 'OTLPHTTP'].map((type) => manifestOf('OtelPlugin', { destination: { type, endpoint: text } })),
    );

    const header = fc.oneof(
      fc.constantFrom('authorization', 'Host', 'x', 'X', 'grpc-x', 'content-type', 'K'),
      fc.string({ unit: fc.constantFrom(...Array.from('aAzZ-_. :\u0130\u212a')), minLength: 1, maxLength: 5 }),
    );
    agree(
      'as names of headers, where case folding differs between languages',
      fc.tuple(header, header).map((pair) => pair.join('\u0000')),
      (pair) => {
        const headers = pair.split('\u0000').map((name) => ({ name, value: 'x' }));
        return [manifestOf('OtelPlugin', { destination: { type: 'OTLPGRPC', endpoint: 'h:1', headers } })];
      },
    );
  });

  test('C2 objects at their size limit are taken', async () => {
    const text = (length: number): string => '𝔘'.repeat(length);
    const args = Object.fromEntries(Array.from({ length: 32 }, (_, i) => [`${text(60)}${i}`, text(1024)]));
    const largest = { pluginRef: { name: 'p' }, script: { inline: text(131_072) }, args };
    const script = await ask('POST', pathOf('ExportScript'), manifestOf('ExportScript', largest, 'largest'));
    expect([script.status, script.message]).toEqual([201, '']);
    const headers = Array.from({ length: 32 }, (_, i) => ({ name: `${'n'.repeat(120)}${i}`, value: 'v'.repeat(8192) }));
    const [full] = FULL_PLUGINS;
    const destination = { ...Object(full?.['destination']), headers };
    const plugin = await ask(
      'POST',
      pathOf('OtelPlugin'),
      manifestOf('OtelPlugin', { ...full, destination }, 'largest'),
    );
    expect([plugin.status, plugin.message]).toEqual([201, '']);
    for (const kind of ['ExportScript', 'OtelPlugin']) await ask('DELETE', pathOf(kind, 'largest'));
  });

  test('C9 the rules cost less than the API server allows', () => {
    let output: string;
    try {
      output = execFileSync(binary('celcost'), CRD_FILES, { encoding: 'utf8' });
    } catch (error) {
      throw new Error(`a rule is too expensive:\n${String(Reflect.get(Object(error), 'stdout'))}`, { cause: error });
    }
    const lines = output
      .trim()
      .split('\n')
      .map(
        (line) => JSON.parse(line) as { rule?: string; path?: string; definition?: string; percentOfBudget: number },
      );
    const table = lines.map(
      ({ path, rule, definition, percentOfBudget }) =>
        `${percentOfBudget.toFixed(3).padStart(8)} %  ${definition ?? `${path} ${rule}`}`,
    );
    process.stdout.write(`${table.join('\n')}\n`);
    expect(lines.filter(({ rule }) => rule !== undefined).length).toBeGreaterThan(20);
    // room for another rule, and for another version's estimate
    for (const { percentOfBudget } of lines) expect(percentOfBudget).toBeLessThan(10);
  }, 600_000);
});
