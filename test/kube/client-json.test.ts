// A list that is parsed object by object is the list that JSON.parse would make.
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseList } from '../../src/kube/client-json.ts';
import { CONFIG_MAPS } from '../../src/kube/resources.ts';

const numRuns = Number(process.env['SLUICE_FUZZ_RUNS'] ?? 300);

const nasty = fc.string({
  unit: fc.constantFrom('"', '\\', '{', '}', '[', ']', ',', ':', 'items', 'a', '\n', '€', '😀'),
});
const item = fc.record({
  metadata: fc.record({ name: nasty, labels: fc.dictionary(nasty, nasty, { maxKeys: 3 }) }),
  data: fc.oneof(fc.jsonValue({ maxDepth: 4 }), nasty),
});
const list = fc.record({
  items: fc.array(item, { maxLength: 8 }),
  resourceVersion: fc.constantFrom('1', '42'),
  token: fc.option(nasty, { nil: undefined }),
  extra: fc.jsonValue({ maxDepth: 3 }),
  itemsFirst: fc.boolean(),
  indent: fc.constantFrom(0, 1, 2),
});

test('any list, in any layout', async () => {
  await fc.assert(
    fc.asyncProperty(list, async ({ items, resourceVersion, token, extra, itemsFirst, indent }) => {
      const metadata = { resourceVersion, ...(token === undefined ? {} : { continue: token }) };
      const body = itemsFirst ? { extra, items, metadata } : { kind: 'List', extra, metadata, items };
      const page = await parseList(CONFIG_MAPS, Buffer.from(JSON.stringify(body, undefined, indent)), 0);
      expect(page).toEqual({
        items: JSON.parse(JSON.stringify(items)),
        resourceVersion,
        continue: token === '' ? undefined : token,
      });
    }),
    { numRuns },
  );
});

test('what is cut off or changed is refused as JSON.parse refuses it, or read as it reads it', async () => {
  const good = Buffer.from(
    JSON.stringify({ metadata: { resourceVersion: '1' }, items: [{ metadata: { name: 'a"[{' } }, { metadata: {} }] }),
  );
  await fc.assert(
    fc.asyncProperty(fc.nat(good.length - 1), fc.nat(255), fc.boolean(), async (at, byte, cut) => {
      const bytes = cut ? good.subarray(0, at) : Buffer.from(good);
      if (!cut) bytes[at] = byte;
      const [ours, plain] = await Promise.allSettled([
        parseList(CONFIG_MAPS, bytes, 0),
        parseList(CONFIG_MAPS, bytes, Infinity),
      ]);
      expect(ours.status).toBe(plain.status);
      if (ours.status === 'fulfilled' && plain.status === 'fulfilled') expect(ours.value).toEqual(plain.value);
    }),
    { numRuns },
  );
});

test.each(['[{"a":1} {"b":2}]', '[{"a":1},,{"b":2}]', '[,{"a":1}]', '[{"a":1},]', '[{"a":1}', '[{"a":1}}'])(
  '%s is no array',
  async (items) => {
    const body = Buffer.from(`{"metadata":{"resourceVersion":"5"},"items":${items}}`);
    await expect(parseList(CONFIG_MAPS, body, 0)).rejects.toThrow('about configmaps is no JSON');
  },
);

test('null items, no items, no list', async () => {
  const parse = (text: string): Promise<unknown> => parseList(CONFIG_MAPS, Buffer.from(text), 0);
  await expect(parse('{"metadata":{"resourceVersion":"5"},"items":null}')).resolves.toMatchObject({ items: [] });
  await expect(parse('{"metadata":{"resourceVersion":"5"}}')).resolves.toMatchObject({ items: [] });
  await expect(parse('{"items":[]}')).rejects.toThrow('no list of configmaps');
  await expect(parse('<html>')).rejects.toThrow('about configmaps is no JSON');
  await expect(parse('')).rejects.toThrow('about configmaps is no JSON');
});
