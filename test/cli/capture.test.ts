// What needs eBPF: `sluice record` and `sluice run` as processes of their own, with and without the rights for it.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { captureMissing, ROOT, scratch, skipping } from '../e2e/harness.ts';

const place = scratch();
const [theirs, temporary] = [join(place.dir, 'theirs'), join(place.dir, 'tmp')];
const USER = 4242;
const missing = captureMissing ?? (process.getuid?.() === 0 ? undefined : 'not root, so nobody called sudo');
const withSudo = skipping('giving up root for the user who called sudo', missing) ? describe.skip : describe;

beforeAll(() => {
  chmodSync(place.dir, 0o755);
  mkdirSync(theirs);
  mkdirSync(temporary);
  chmodSync(temporary, 0o1777);
});
afterAll(() => place.remove());

const sluice = (env: Record<string, string>, ...args: readonly string[]) =>
  spawnSync(join(ROOT, 'bin', 'sluice'), [...args], {
    encoding: 'utf8',
    timeout: 60_000,
    cwd: theirs,
    env: { ...process.env, TMPDIR: temporary, ...env },
  });
const sudo = { SUDO_UID: String(USER), SUDO_GID: String(USER) };

withSudo('under sudo', () => {
  test('a recording belongs to the user who called it, and nothing else stays behind', () => {
    chownSync(theirs, USER, USER);
    const { status, stderr } = sluice(sudo, 'record', 'a.slrec', '--duration', '300ms');
    expect([status, stderr]).toEqual([0, expect.stringMatching(/^a\.slrec: \d+ bytes/)]);
    expect(readdirSync(theirs)).toEqual(['a.slrec']);
    expect(statSync(join(theirs, 'a.slrec')).uid).toBe(USER);
    expect(readdirSync(temporary)).toEqual([]);
  });

  test('no file is written where that user may not', () => {
    chownSync(theirs, 0, 0);
    const { status, stderr } = sluice(sudo, 'record', 'b.slrec', '--duration', '1h');
    expect([status, stderr]).toEqual([1, expect.stringMatching(/^sluice record: EACCES: .*b\.slrec/)]);
  });

  test('a live run ends well', () => {
    const { status, stderr } = sluice(sudo, 'run', 'network-connections', '--duration', '300ms', '--format', 'json');
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(readdirSync(temporary)).toEqual([]);
  });
});

test.each([
  ['record', 'c.slrec'],
  ['run', 'http-metrics'],
  ['tables', '--from', 'live'],
])(
  // prettier-ignore
  'without a probe that starts, %s says so in one line and leaves nothing behind',
  (...args) => {
    const before = readdirSync(theirs);
    const { status, stdout, stderr } = sluice({ SLUICE_PROBE: '/bin/false' }, ...args);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(new RegExp(`^sluice ${args[0]}: /bin/false ended with status 1\n$`));
    expect(readdirSync(theirs)).toEqual(before);
  },
);
