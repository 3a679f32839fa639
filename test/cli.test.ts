// The command line as people and scripts see it: exit status, streams, help. No rights needed.
import { describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT, scratch } from './e2e/harness.ts';

const sluice = (args: readonly string[], input?: string) =>
  spawnSync(join(ROOT, 'bin', 'sluice'), [...args], { encoding: 'utf8', input, timeout: 60_000 });

const SCRIPT = `import px
df = px.DataFrame('http_events', start_time=px.plugin.start_time)
df = df.groupby('req_path').agg(n=('latency', px.count))
px.display(df, 'paths')
`;

describe('sluice', () => {
  test('without a command says which there are, on standard error, as wrong usage', () => {
    const { status, stdout, stderr } = sluice([]);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/check .*\n.*run .*\n.*tables .*\n.*record .*\n.*receive .*\n.*local /);
  });

  test.each(['check', 'run', 'tables', 'record', 'receive', 'local', 'collector', 'runtime', 'operator', 'dump'])(
    '%s --help tells its usage and is done',
    (name) => {
      const { status, stdout, stderr } = sluice([name, '--help']);
      expect([status, stderr]).toEqual([0, '']);
      expect(stdout).toMatch(new RegExp(`^Usage: sluice ${name}`));
    },
  );

  test.each([
    [['nonsense'], /no command 'nonsense'/],
    [['collector'], /--tls DIR is missing/],
    [['runtime', '--insecure'], /--insecure goes with a loopback address/],
    [['runtime', '--insecure', '--run-address', '127.0.0.1:0'], /--state DIR is missing/],
    [['operator'], /--settings FILE is missing/],
    [['test'], /'test' is not in this version/],
    [['check'], /name at least one file/],
    [['check', '--frmat', 'json', 'x'], /--frmat/],
    [['check', '/nowhere.pxl'], /nowhere\.pxl/],
    [['tables', '--format', 'xml'], /--format is one of table, json, not 'xml'/],
    [['local'], /--manifests DIR is missing/],
    [['local', '--manifests', '/nowhere'], /is not a folder/],
    [['local', '--manifests', '/tmp', '--connect-to', 'a=b'], /HOST:PORT/],
    [['record'], /name one file/],
    [['record', 'x', '--duration', 'soon'], /duration such as 10s/],
    [['run'], /name one script/],
    [['receive', '--grpc', 'x'], /HOST:PORT/],
  ])('%j is wrong usage', (args, message) => {
    const { status, stdout, stderr } = sluice(args);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
  });

  test('--version is that of the package', () => {
    expect(sluice(['--version']).stdout).toMatch(/^sluice \d+\.\d+\.\d+\n$/);
  });
});

describe('sluice check', () => {
  test('is quiet about a good script but for what it makes', () => {
    const { status, stdout } = sluice(['check', '-'], SCRIPT);
    expect([status, stdout]).toEqual([0, '-: ok: table paths\n']);
  });

  test('shows the line, a caret and a suggestion', () => {
    const { status, stdout } = sluice(['check', '-'], SCRIPT.replace('latency', 'latncy'));
    expect(status).toBe(1);
    expect(stdout).toContain("-:3:36: error: there is no column 'latncy' here [UNKNOWN_COLUMN]");
    expect(stdout).toMatch(/\n {2}df = df\.groupby.*\n +\^\n {2}did you mean 'latency'\?\n/);
  });

  test('says the same as JSON', () => {
    const { stdout } = sluice(['check', '-', '--format', 'json'], SCRIPT.replace('latency', 'latncy'));
    const { files } = JSON.parse(stdout) as { files: { ok: boolean; diagnostics: object[]; outputs: object[] }[] };
    expect(files).toHaveLength(1);
    expect(files[0]).toMatchObject({
      ok: false,
      diagnostics: [
        { code: 'UNKNOWN_COLUMN', severity: 'error', line: 3, column: 36, suggestion: "did you mean 'latency'?" },
      ],
    });
  });

  test('checks manifests, and the scripts in them', () => {
    const place = scratch();
    const manifest = place.write(
      'bad.yaml',
      'apiVersion: sluice.dev/v1alpha1\nkind: ExportScript\nmetadata: { name: a }\nspec:\n  pluginRef: { name: p }\n  window: 10\n  script: { preset: http-metrics }\n',
    );
    const { status, stdout } = sluice(['check', manifest, join(ROOT, 'config/samples/exportscript.yaml')]);
    place.remove();
    expect(status).toBe(1);
    expect(stdout).toContain('bad.yaml:6:11: error: spec.window: must be string [INVALID_MANIFEST]');
    expect(stdout).toContain('exportscript.yaml: ok');
  });

  test('passes every preset and sample that ships', () => {
    expect(
      sluice(['check', 'http-metrics', 'network-connections', join(ROOT, 'config/samples/otelplugin.yaml')]),
    ).toMatchObject({ status: 0 });
  });
});
