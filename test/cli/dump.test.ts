import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { dump } from '../../src/cli/dump.ts';
import { openBundle, tarHeader } from '../../src/cli/dump/bundle.ts';
import { cleaned, masker, plainSecrets } from '../../src/cli/dump/mask.ts';
import { call } from './io.ts';

const scratch = mkdtempSync(join(tmpdir(), 'sluice-dump-'));
afterAll(() => rmSync(scratch, { recursive: true }));

/** All files of a folder, with their texts. */
function filesIn(folder: string): Map<string, string> {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) =>
    statSync(join(folder, path)).isFile(),
  );
  return new Map(paths.map((path) => [path, readFileSync(join(folder, path), 'utf8')]));
}

describe('a bundle', () => {
  test('as a tar file is read by tar', () => {
    const file = join(scratch, 'one.tar');
    const bundle = openBundle(file, 'top', Date.UTC(2026, 0, 31));
    const long = `${'d'.repeat(120)}/${'f'.repeat(90)}.log`;
    const texts: Record<string, string> = { 'empty.txt': '', 'a/b.yaml': 'ä\n'.repeat(1000), [long]: 'x'.repeat(512) };
    for (const [path, text] of Object.entries(texts)) bundle.add(path, text);
    bundle.finish();
    const listed = execFileSync('tar', ['--list', '--file', file], { encoding: 'utf8' }).trim().split('\n');
    expect(listed).toEqual(Object.keys(texts).map((path) => `top/${path}`));
    for (const [path, text] of Object.entries(texts))
      expect(
        execFileSync('tar', ['--extract', '--to-stdout', '--file', file, `top/${path}`], { encoding: 'utf8' }),
      ).toBe(text);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test('says so where a path is too long for the format', () => {
    expect(() => tarHeader('f'.repeat(101), 0, 0)).toThrow('too long for tar');
  });

  test('never writes outside of itself', () => {
    const bundle = openBundle(join(scratch, 'inside'), 'top', 0);
    bundle.add('../../evil', 'x');
    bundle.add('/etc/evil', 'x');
    for (const path of filesIn(join(scratch, 'inside')).keys()) expect(path).not.toContain('..');
    expect(filesIn(join(scratch, 'inside')).size).toBe(2);
  });
});

describe('what is masked', () => {
  const plugin = (value: string) => ({
    metadata: {
      name: 'p',
      managedFields: [{}],
      annotations: {
        'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify({ value }),
        'example.com/a': 'b',
      },
    },
    spec: {
      destination: {
        headers: [
          { name: 'api-key', value },
          { name: 'x', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } },
        ],
      },
    },
  });

  test('a header value, wherever it turns up and however it is written', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 6, maxLength: 40, unit: 'grapheme' }), fc.string(), (value, around) => {
        const mask = masker(plainSecrets([plugin(value)]));
        for (const form of [
          value,
          JSON.stringify(value),
          Buffer.from(value).toString('base64'),
          encodeURIComponent(value),
        ])
          expect(mask(`${around} ${form} ${around}`)).not.toContain(form);
      }),
      { numRuns: Number(process.env['SLUICE_FUZZ_RUNS'] ?? 300) },
    );
  });

  test('in objects: values of headers and arguments, and the second copy of the manifest', () => {
    const object = cleaned(plugin('s3cret-value'));
    expect(JSON.stringify(object)).not.toContain('s3cret-value');
    expect(object).toEqual({
      metadata: { name: 'p', annotations: { 'example.com/a': 'b' } },
      spec: {
        destination: {
          headers: [
            { name: 'api-key', value: '***' },
            { name: 'x', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } },
          ],
        },
      },
    });
    expect(cleaned({ spec: { args: { token: 'abc', n: 'x' }, script: { preset: 'p' } } })).toEqual({
      spec: { args: { token: '***', n: '***' }, script: { preset: 'p' } },
    });
  });

  test.each([
    ['authorization: Bearer abcdef0123', 'authorization: Bearer ***'],
    ['proxy http://me:pass@host:1/x', 'proxy http://***@host:1/x'],
    ['token eyJhbGciOiJIUzI1.eyJzdWIiOiIx.c2ln end', 'token *** end'],
    ['-----BEGIN EC PRIVATE KEY-----\nMHc=\n-----END EC PRIVATE KEY-----\nrest', '***\nrest'],
    ['nothing of that kind', 'nothing of that kind'],
  ])('in any text: %j', (text, masked) => expect(masker([])(text)).toBe(masked));

  test('anything at all in an object is no crash', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        const object = { spec: { destination: a, args: b }, metadata: a };
        cleaned(object);
        masker(plainSecrets([object, a]))(JSON.stringify(b));
      }),
    );
  });
});

test.each([
  [['a', 'b'], 'name one folder'],
  [['--tail', 'x'], '--tail is a number'],
  [['--namespace', 'A/B'], '--namespace'],
])('wrong usage is said: %j', async (argv, message) => {
  const { status, stderr } = await call(dump, ...argv);
  expect([status, stderr]).toEqual([2, expect.stringContaining(message)]);
});
