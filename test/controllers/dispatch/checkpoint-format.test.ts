import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  formatEntry,
  formatShard,
  parseShard,
  timeText,
  type ShardContent,
} from '../../../src/controllers/dispatch/checkpoint-format.ts';
import { timeNs } from '../../../src/model/time.ts';

const RUNS = Number(process.env['SLUICE_FUZZ_RUNS'] ?? 300);
const NOW = timeNs(1_764_028_800_000_000_000n);

const time = fc.bigInt({ min: 1_500_000_000_000_000_000n, max: NOW }).map(timeNs);
const entry = fc.record({
  deliveredUntil: time,
  isSuspended: fc.boolean(),
  goneAt: fc.option(fc.integer({ min: 0, max: 2_000_000_000 }), { nil: undefined }),
  more: fc.constantFrom('', ' x=1', ' later=a,b next=2'),
});
const content: fc.Arbitrary<Omit<ShardContent, 'faults'>> = fc.record({
  epoch: fc.nat(),
  writer: fc.string(),
  runtimes: fc.option(
    fc.record({
      least: fc.integer({ min: 1, max: 4 }),
      most: fc.integer({ min: 4, max: 9 }),
      ledgers: fc.array(fc.tuple(fc.nat(9), fc.uuid())).map((pairs) => new Map(pairs)),
    }),
    { nil: undefined },
  ),
  entries: fc.array(fc.tuple(fc.uuid(), entry)).map((pairs) => new Map(pairs)),
  others: fc.constantFrom({}, { 'of-a-later-version': 'kept' }),
});

describe('a checkpoint shard', () => {
  test('reads what it wrote, also what a later version put beside (T14)', () => {
    fc.assert(
      fc.property(content, (written) => {
        const { faults, ...read } = parseShard(formatShard(written), NOW);
        expect(faults).toEqual([]);
        expect(read).toEqual(written);
      }),
      { numRuns: RUNS },
    );
  });

  test('holds a script in at most 80 bytes', () => {
    const uid = '01234567-89ab-cdef-0123-456789abcdef';
    const line = formatEntry(uid, { deliveredUntil: NOW, isSuspended: true, goneAt: 1_764_028_800, more: '' });
    expect(line).toBe(`${uid} 1764028800 s=1 g=1764028800`);
    expect(line.length).toBeLessThanOrEqual(80);
    const odd = formatEntry(uid, {
      deliveredUntil: timeNs(NOW + 1n),
      isSuspended: true,
      goneAt: 1_764_028_800,
      more: '',
    });
    expect(odd.length + 1).toBeLessThanOrEqual(80);
  });

  test('of format 1 stays readable for ever', () => {
    const data = {
      format: '1',
      epoch: '7',
      writer: 'sluice-operator-0_1234',
      runtimes: '{"least":1,"most":2,"ledgers":{"0":"a","1":"b"}}',
      scripts: 'uid-1 1764028790\nuid-2 1764028700.25 s=1\nuid-3 1764020000 g=1764028000 later=1\n',
    };
    const read = parseShard(data, NOW);
    expect(read).toMatchObject({ epoch: 7, writer: 'sluice-operator-0_1234', faults: [], others: {} });
    expect(read.runtimes).toEqual({ least: 1, most: 2, ledgers: new Map([[0, 'a'], [1, 'b']]) }); // prettier-ignore
    expect(
      [...read.entries].map(([uid, one]) => [uid, timeText(one.deliveredUntil), one.isSuspended, one.goneAt, one.more]),
    ).toEqual([
      ['uid-1', '1764028790', false, undefined, ''],
      ['uid-2', '1764028700.25', true, undefined, ''],
      ['uid-3', '1764020000', false, 1764028000, ' later=1'],
    ]);
    expect(formatShard(read)).toEqual(data);
  });

  test.each([
    ['uid', 'not an entry'],
    ['uid 17640287xx', 'not an entry'],
    ['uid -5', 'not an entry'],
    ['uid 1764028800000', 'not an entry'],
    ['uid 12', 'not an entry'],
    ['uid 1764115201', 'not an entry'],
    ['../uid 1764028700', 'not an entry'],
  ])('tells of %j and takes the entries beside it', (line, what) => {
    const read = parseShard({ format: '1', epoch: '1', scripts: `good 1764028700\n${line}\n` }, NOW);
    expect(read.faults).toEqual([expect.stringContaining(what)]);
    expect([...read.entries.keys()]).toEqual(['good']);
  });

  test('tells of an epoch and a note of runtimes that are none', () => {
    const read = parseShard({ format: '1', epoch: '1e99', runtimes: '{"least":3,"most":1}' }, NOW);
    expect(read.epoch).toBe(0);
    expect(read.runtimes).toBeUndefined();
    expect(read.faults).toHaveLength(2);
  });

  test('never throws, whatever is in it', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string().map((s) => `uid ${s}`),
      fc.json(),
    );
    const data = fc.dictionary(fc.constantFrom('format', 'epoch', 'writer', 'runtimes', 'scripts', 'x'), text);
    fc.assert(
      fc.property(data, (some) => {
        const read = parseShard(some, NOW);
        const again = parseShard(formatShard(read), NOW);
        expect(again).toEqual({ ...read, faults: [] });
      }),
      { numRuns: RUNS },
    );
  });
});
