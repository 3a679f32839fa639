// A state folder that cannot be used: one line that says so and exit status 1, the ledger as it was; a disk that fills up
// while the program runs holds it up, visibly, and costs no window.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { chmodSync, closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { startReceiver, type Receiver } from '../../src/exporters/otlp/receiver.ts';
import { countManifest, pluginManifest, ROOT, scratch, skipping, startLocal, until, type Local } from './harness.ts';
import { bySecond, traffic } from './traffic.ts';
import { conditionOf, gapsOf, ledgerOf, sumsOf, windowsOf } from './windows.ts';

const ENDPOINT = 'backend.example:4317';
const place = scratch();
const manifests = join(place.dir, 'manifests');
const mounted: string[] = [];

/** A file system of its own; undefined where that needs rights which are not there. */
function mount(name: string, options: string): string | undefined {
  const folder = join(place.dir, name);
  mkdirSync(folder);
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]);
  if (status !== 0) return undefined;
  mounted.push(folder);
  return folder;
}
const unmountAll = (): void => mounted.splice(0).forEach((folder) => void spawnSync('umount', ['-l', folder]));
// whatever ends this process, nothing stays mounted
process.once('exit', unmountAll);

const probe = mount('probe', 'size=64k');
const mountMissing = probe === undefined ? 'no right to mount a tmpfs' : undefined;
const withMounts = skipping('state folders that are full or read-only', mountMissing) ? describe.skip : describe;
const isRoot = process.getuid?.() === 0;
const setprivMissing =
  isRoot && spawnSync('setpriv', ['--version']).status !== 0 ? 'setpriv is missing, and this is root' : undefined;
const withoutRights = skipping('a state folder without rights', setprivMissing) ? describe.skip : describe;

/** Takes all the room there is; returns what gives it back. */
function fill(folder: string): () => void {
  const path = join(folder, 'filler');
  const file = openSync(path, 'w');
  for (let size = 65_536; size >= 1; size /= 2) {
    for (;;) {
      try {
        if (writeSync(file, Buffer.alloc(size)) === 0) break;
      } catch {
        break;
      }
    }
  }
  closeSync(file);
  return () => rmSync(path);
}

afterAll(() => {
  unmountAll();
  place.remove();
});

const recording = join(place.dir, 'short.slrec');

/** Starts it and expects that it says why it cannot, in one line. */
const refused = (state: string, prefix: readonly string[] = []): string => {
  const options = ['--manifests', manifests, '--state', state, '--from', recording, '--format', 'json'];
  const [program = '', ...args] = [...prefix, join(ROOT, 'bin', 'sluice'), 'local', ...options];
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 20_000 });
  expect(stdout).toBe('');
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(status).toBe(1);
  return stderr.trim();
};

beforeAll(() => {
  mkdirSync(manifests);
  writeFileSync(recording, traffic({ seconds: 1 }).bytes);
});

describe('a state folder that cannot be used', () => {
  test('because a file is in its place', () => {
    const state = place.write('file', 'x');
    expect(refused(state)).toMatch(/^sluice local: ledger .*a part of its path is not a folder/);
    expect(refused(join(state, 'below'))).toMatch(/^sluice local: ledger .*below.*a part of its path is not a folder/);
    expect(readFileSync(state, 'utf8')).toBe('x');
  });

  test('because the ledger is a folder, or not a ledger: left as it is', () => {
    mkdirSync(join(place.dir, 'folder', 'ledger.db'), { recursive: true });
    expect(refused(join(place.dir, 'folder'))).toMatch(/^sluice local: ledger .*ledger\.db: /);
    const text = `not a ledger ${'.'.repeat(5000)}`;
    const file = place.write('rubbish/ledger.db', text);
    expect(refused(join(place.dir, 'rubbish'))).toMatch(/ledger\.db: it is not a ledger; move it away/);
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  test('because another program has it, which is not disturbed, or because it is damaged', async () => {
    const state = join(place.dir, 'shared');
    const first = startLocal({ manifests, state, args: ['--from', recording] });
    await first.capturing();
    expect(refused(state)).toMatch(/^sluice local: ledger .*another process uses it; stop that one/);
    expect(first.process.exitCode).toBeNull();
    expect(await first.stop()).toBe(0);
    // and when it has ended, the folder is free
    const next = startLocal({ manifests, state, args: ['--from', recording] });
    await next.capturing();
    expect(await next.stop()).toBe(0);

    // torn in the middle: told, and not touched
    const file = join(state, 'ledger.db');
    const damaged = readFileSync(file);
    damaged.fill(0xa5, 4096, 3 * 4096);
    writeFileSync(file, damaged);
    expect(refused(state)).toMatch(/ledger\.db: .*(damaged|not what was written).*move it away/);
    // but for the header, in which SQLite notes its journal's mode
    expect(readFileSync(file).subarray(100).equals(damaged.subarray(100))).toBe(true);
  });
});

withMounts('a state folder on a file system', () => {
  test('that is read-only', () => {
    const state = mount('read-only', 'size=1m') ?? '';
    spawnSync('mount', ['-o', 'remount,ro', state]);
    expect(refused(state)).toMatch(/^sluice local: ledger .*cannot be created or written.*EROFS/);
  });

  test('that is full', () => {
    const state = mount('full', 'size=64k') ?? '';
    fill(state);
    expect(refused(state)).toMatch(/^sluice local: ledger .*no space is left/);
  });
});

withoutRights('a state folder that this user has no right to', () => {
  test('is told, whether it is there or to be made', () => {
    const state = join(place.dir, 'private');
    mkdirSync(state, { mode: 0o555 });
    chmodSync(place.dir, 0o755);
    const prefix = isRoot ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [];
    expect(refused(state, prefix)).toMatch(/^sluice local: ledger .*cannot be created or written.*EACCES/);
    expect(refused(join(state, 'below'), prefix)).toMatch(/^sluice local: .*below.*EACCES/);
  });
});

withMounts('a disk that fills up while the program runs', () => {
  const SECONDS = 12;
  const requests: object[] = [];
  let receiver: Receiver;
  let local: Local;
  let state: string;

  beforeAll(async () => {
    state = mount('small', 'size=8m') ?? '';
    receiver = await startReceiver({ grpc: '127.0.0.1:0' });
    receiver.onRequest(({ json }) => void requests.push(json));
    place.write('manifests/plugin.yaml', pluginManifest(ENDPOINT));
    place.write('manifests/count.yaml', countManifest('1s'));
  });
  afterAll(async () => {
    await local?.stop();
    await receiver?.close();
  });

  test('says so, and goes on with every window when there is room again', async () => {
    const { bytes, times, firstMs } = traffic({ seconds: SECONDS });
    writeFileSync(join(place.dir, 'traffic.slrec'), bytes);
    local = startLocal({
      manifests,
      state,
      connectTo: { [ENDPOINT]: `127.0.0.1:${receiver.ports.grpc ?? 0}` },
      args: ['--from', join(place.dir, 'traffic.slrec')],
    });
    await until('windows arrive', () => requests.length >= 2);
    const giveBack = fill(state);
    await until(`the status says so: ${local.errors.join('\n')}`, () => {
      const scheduled = conditionOf(local.status('requests'), 'Scheduled');
      return scheduled?.status === 'False' && scheduled.reason === 'StateFull';
    });
    const plugin = await until(
      'the plugin says so',
      () =>
        local.events.findLast(
          ({ kind, status }) => kind === 'OtelPlugin' && conditionOf(status, 'RuntimeReady')?.status === 'False',
        ),
      5000,
    );
    expect(conditionOf(plugin.status, 'RuntimeReady')).toMatchObject({
      reason: 'StateFull',
      message: expect.stringMatching(/no space is left; free some/),
    });
    const before = local.events.length;
    giveBack();
    await until(
      `all is delivered: ${local.errors.join('\n')}`,
      () => Date.parse(local.status('requests')?.deliveredUntil ?? '') >= firstMs + SECONDS * 1000,
    );
    expect(local.events.length).toBeGreaterThan(before);
    await until('all is well again', () =>
      ['Ready', 'Scheduled', 'Delivered'].every(
        (type) => conditionOf(local.status('requests'), type)?.status === 'True',
      ),
    );
    const totals = local.status('requests')?.totals;
    expect(await local.stop()).toBe(0);
    const sums = sumsOf(windowsOf(requests));
    const first = ledgerOf(state, 'requests')[0]?.start ?? 0n;
    expect(sums).toEqual(new Map([...bySecond(times)].filter(([start]) => start >= first)));
    expect(gapsOf(ledgerOf(state, 'requests'))).toEqual([]);
    // the status counts what arrived, no more
    expect(totals?.metrics).toBe(windowsOf(requests).length);
    const written: unknown = JSON.parse(readFileSync(join(state, 'status', 'exportscript.test.requests.json'), 'utf8'));
    expect(written).toMatchObject({ totals: { metrics: totals?.metrics } });
    // a fault a second is no log
    expect(local.errors.length).toBeLessThan(20);
    expect(local.errors.filter((line) => /\bat .*\.ts:/.test(line))).toEqual([]);
  });
});
