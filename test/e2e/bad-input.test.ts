// Recordings that are none, scripts that are none or too much, ports that are taken: a line that says what is wrong, the
// right exit status, never a stack trace, never a hang.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { recordingHeader } from '../../src/collector/sources/recording.ts';
import { countManifest, pluginManifest, ROOT, scratch, startLocal, until } from './harness.ts';
import { traffic } from './traffic.ts';
import { conditionOf } from './windows.ts';

interface Ended {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

const DEADLINE_MS = 30_000;

/** Runs the program to its end; one that hangs is killed and has no status. */
function sluice(...args: string[]): Promise<Ended> {
  const child = spawn(join(ROOT, 'bin', 'sluice'), args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: DEADLINE_MS });
  const text = { out: '', err: '' };
  child.stdout.on('data', (bytes: Buffer) => (text.out += bytes.toString('utf8')));
  child.stderr.on('data', (bytes: Buffer) => (text.err += bytes.toString('utf8')));
  return new Promise((resolve) => child.on('close', (status) => resolve({ status, ...text })));
}

/** What a terminal would obey, but for line ends and tabs. */
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/;

function expectNoTrace({ out, err }: Ended): void {
  expect(`${out}${err}`).not.toMatch(/\bat .*(\.ts:\d|node:internal)/);
  expect(`${out}${err}`).not.toMatch(CONTROL);
}

const place = scratch();
const file = (name: string): string => join(place.dir, name);

beforeAll(() => {
  const { bytes: whole } = traffic({ seconds: 2 });
  const changed = (at: number, value: number): Uint8Array => {
    const copy = Uint8Array.from(whole);
    copy.fill(value, at, at + 8);
    return copy;
  };
  const version = Uint8Array.from(whole);
  version[8] = 9;
  writeFileSync(file('whole.slrec'), whole);
  writeFileSync(file('truncated.slrec'), whole.subarray(0, whole.length - 5));
  writeFileSync(file('version.slrec'), version);
  writeFileSync(file('garbage.slrec'), changed(16, 0xff));
  writeFileSync(file('short.slrec'), whole.subarray(0, 9));
  writeFileSync(file('nothing.slrec'), '');
  writeFileSync(file('text.slrec'), 'no recording at all, but a text with some words');
  writeFileSync(file('header.slrec'), recordingHeader());
  mkdirSync(file('none'));
  place.write('all.pxl', "import px\npx.display(px.DataFrame('http_events'))\n");
});
afterAll(() => place.remove());

describe('a recording that is none', () => {
  const cases: [string, RegExp][] = [
    ['text.slrec', /text\.slrec is no recording: it does not begin with SLUICREC/],
    ['nothing.slrec', /nothing\.slrec is no recording/],
    ['short.slrec', /short\.slrec is no recording/],
    ['version.slrec', /version\.slrec is a recording of version 9; this program reads 1/],
    ['garbage.slrec', /garbage\.slrec: frame length 4294967295 .* at byte 16/],
    ['missing.slrec', /missing\.slrec/],
  ];
  test.each(cases)('is refused by run and by local: %s', async (name, message) => {
    const all = await Promise.all([
      sluice('run', file('all.pxl'), '--from', file(name)),
      sluice('local', '--manifests', file('none'), '--state', file(`state-${name}`), '--from', file(name)),
    ]);
    for (const ended of all) {
      expect(ended.err).toMatch(message);
      expect(ended.err.trim().split('\n').length).toBeLessThanOrEqual(2);
      expect(ended.status).toBe(name === 'missing.slrec' && ended === all[0] ? 2 : 1);
      expect(ended.out).toBe('');
      expectNoTrace(ended);
    }
  });

  test('is refused by run where it ends inside a frame', async () => {
    const ended = await sluice('run', file('all.pxl'), '--from', file('truncated.slrec'));
    expect(ended).toMatchObject({ status: 1, out: '' });
    expect(ended.err).toMatch(/truncated\.slrec: the stream ends inside a frame, after \d+ of its bytes at byte \d+/);
    expectNoTrace(ended);
  });

  test('has no rows where it has no frames; local says that it has no time', async () => {
    const [run, local] = await Promise.all([
      sluice('run', file('all.pxl'), '--from', file('header.slrec'), '--format', 'ndjson'),
      sluice('local', '--manifests', file('none'), '--state', file('state-h'), '--from', file('header.slrec')),
    ]);
    expect(run).toEqual({ status: 0, out: '', err: expect.stringMatching(/the source has no rows\n$/) });
    expect(local).toMatchObject({ status: 1, err: 'sluice local: ' + file('header.slrec') + ' has no clock pair\n' });
  });

  test('that is torn at its end is told while it runs, and windows after it are not called complete', async () => {
    const manifest = pluginManifest('').replace('OTLPGRPC', 'Console');
    place.write('torn/plugin.yaml', manifest.replace(/ +(endpoint|tls):.*\n/g, ''));
    place.write('torn/count.yaml', countManifest('1s'));
    const fresh = traffic({ seconds: 2 }).bytes;
    writeFileSync(file('torn.slrec'), fresh.subarray(0, fresh.length - 5));
    const local = startLocal({
      manifests: file('torn'),
      state: file('state-torn'),
      args: ['--from', file('torn.slrec')],
    });
    const said = await until('it is told', () => local.events.find(({ event }) => event === 'failed'));
    expect(said.message).toMatch(/torn\.slrec: the stream ends inside a frame/);
    await until(
      'the window says so',
      () => conditionOf(local.status('requests'), 'Complete')?.reason === 'SourcesBlind',
    );
    const plugin = await until('the plugin says so', () =>
      local.events.findLast(
        ({ kind, status }) => kind === 'OtelPlugin' && conditionOf(status, 'CollectorReady')?.status === 'False',
      ),
    );
    expect(conditionOf(plugin.status, 'CollectorReady')).toMatchObject({ reason: 'SourceFailed' });
    // a Console destination's lines are events, too
    expect(local.events.filter(({ event }) => event === 'console').length).toBeGreaterThan(0);
    expect(await local.stop()).toBe(0);
    expect(local.errors.map((line) => JSON.parse(line) as object)).toEqual([
      expect.objectContaining({ message: 'the source of rows failed' }),
    ]);
  });
});

describe('a script that is none', () => {
  const brackets = '('.repeat(60_000);
  const head = "import px\ndf = px.DataFrame('http_events')\n";
  const texts: [string, string | Uint8Array, RegExp][] = [
    ['binary', Uint8Array.from({ length: 100_000 }, (_, i) => (i * 7919 + (i >> 3)) & 255), /binary\.pxl:1:1: error:/],
    ['nul', new Uint8Array(1000), /nul\.pxl:1:1: error:/],
    ['escape', "import px\nx = '\u001b[2J\u001b]0;title\u0007' +\n", /escape\.pxl:\d+:\d+: error:/],
    ['large', '# filler\n'.repeat(40_000), /at most 262144 are read/],
    ['huge', '# filler\n'.repeat(600_000), /huge\.pxl is larger than 4 MiB/],
    ['brackets', `x = ${brackets}1${')'.repeat(60_000)}\n`, /NESTING_TOO_DEEP/],
    ['open', `x = ${'['.repeat(60_000)}`, /NESTING_TOO_DEEP/],
    ['minus', `x = ${'-'.repeat(130_000)}1\n`, /NESTING_TOO_DEEP/],
    ['chain', `${head}df.a = ${'1 + '.repeat(30_000)}1\npx.display(df)\n`, /NESTING_TOO_DEEP/],
    ['calls', `${head}df = df${'.head(5)'.repeat(16_000)}\npx.display(df)\n`, /error:/],
    [
      'columns',
      `${head}${Array.from({ length: 6000 }, (_, i) => `df.c${i} = ${i}\n`).join('')}px.display(df)\n`,
      /PLAN_TOO_LARGE/,
    ],
    [
      'functions',
      `${'def f():\n'.repeat(1)}${Array.from({ length: 500 }, (_, i) => `${' '.repeat(i + 1)}def g${i}():\n`).join('')}`,
      /error:/,
    ],
  ];
  beforeAll(() => texts.forEach(([name, text]) => writeFileSync(file(`${name}.pxl`), text)));

  test('is told by check, all in one call', async () => {
    const small = texts.filter(([name]) => name !== 'huge');
    const ended = await sluice('check', ...small.map(([name]) => file(`${name}.pxl`)));
    expect(ended.status).toBe(1);
    for (const [name, , message] of small) {
      const own = ended.out.split('\n').filter((line) => line.includes(`${name}.pxl`));
      expect(own.join('\n')).toMatch(message);
    }
    expect(ended.err).toBe('');
    expectNoTrace(ended);
  });

  test('is not even read where no script can be so large, nor a folder, nor an endless device', async () => {
    const [huge, folder, device] = await Promise.all([
      sluice('check', file('huge.pxl')),
      sluice('run', file('none'), '--from', file('none')),
      sluice('check', '/dev/zero'),
    ]);
    expect(huge.err).toMatch(/huge\.pxl is larger than 4 MiB/);
    expect(folder.err).toMatch(/none is a folder; name a file/);
    expect(device.err).toMatch(/\/dev\/zero is larger than 4 MiB/);
    for (const ended of [huge, folder, device]) {
      expect(ended.status).toBe(2);
      expectNoTrace(ended);
    }
  });

  test('has at most 131072 characters in a manifest, and those it may have', async () => {
    const inline = (characters: number): string => {
      const body = `${head}px.export(df, px.otel.Data(resource={'service.name': 'a'}, data=[px.otel.metric.Gauge(name='g', value=df.latency)]))\n`;
      const text = `${body}${'#'.repeat(characters - body.length - 1)}\n`;
      const spec = { pluginRef: { name: 'collector' }, script: { inline: text } };
      return JSON.stringify({
        apiVersion: 'sluice.dev/v1alpha1',
        kind: 'ExportScript',
        metadata: { name: 'long' },
        spec,
      });
    };
    place.write('fits.json', inline(131_072));
    place.write('over.json', inline(131_073));
    const [fits, over] = await Promise.all([sluice('check', file('fits.json')), sluice('check', file('over.json'))]);
    expect(fits).toMatchObject({ status: 0, err: '' });
    expect(over.status).toBe(1);
    expect(over.out).toMatch(/over\.json:1:\d+: error: spec\.script\.inline: .*131072/);
    expect(over.out.length).toBeLessThan(2000);
  });
});

describe('a port that is taken', () => {
  let server: Server;
  let address: string;
  beforeAll(async () => {
    server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const bound = server.address();
    address = `127.0.0.1:${typeof bound === 'object' && bound !== null ? bound.port : 0}`;
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  test('is told by receive, for either of its ports', async () => {
    const all = await Promise.all([
      sluice('receive', '--grpc', address, '--http', 'none'),
      sluice('receive', '--grpc', '127.0.0.1:0', '--http', address),
    ]);
    for (const ended of all) {
      expect(ended).toMatchObject({ status: 1, out: '' });
      expect(ended.err).toMatch(
        new RegExp(`^sluice receive: cannot listen on ${address} for OTLP/(gRPC|HTTP): .*\\n$`),
      );
    }
  });
});
