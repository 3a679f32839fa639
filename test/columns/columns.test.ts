import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { batchFrom, batchOf, cellAt, rowsOf, selectColumns, zeroColumn, zeroOf } from '../../src/columns/batch.ts';
import { columnBuilder } from '../../src/columns/builder.ts';
import { fieldOf } from '../../src/columns/column.ts';
import { concatBatches, concatColumns } from '../../src/columns/concat.ts';
import { firstDifference } from '../../src/columns/equality.ts';
import { filterBatch, sliceBatch, takeBatch } from '../../src/columns/select.ts';
import { StringBuilder } from '../../src/columns/string-builder.ts';
import {
  DATA_TYPES,
  hasRepeatedEntries,
  plain,
  plainRows,
  rowsArbitrary,
  schemaArbitrary,
  tableArbitrary,
} from './arbitraries.ts';

const plainOf = (rows: readonly (readonly Parameters<typeof plain>[0][])[]): string[][] =>
  rows.map((row) => row.map(plain));

describe('a batch made of rows', () => {
  test('reads back as the rows', () => {
    fc.assert(
      fc.property(tableArbitrary, ({ rows, batch }) => {
        expect(plainRows(batch)).toEqual(plainOf(rows));
        expect(hasRepeatedEntries(batch)).toBe(false);
      }),
    );
  });

  test('reads cells as bigint, number, boolean, text and two words', () => {
    const schema = DATA_TYPES.map((type) => fieldOf(type, type));
    const batch = batchFrom(schema, [[true, 5, { high: 1n, low: 2n }, 0.5, Uint8Array.of(0xff, 0x61), 7n]]);
    expect(rowsOf(batch)).toEqual([[true, 5n, { high: 1n, low: 2n }, 0.5, '\uFFFDa', 7n]]);
  });

  test('keeps a byte order mark that a text begins with', () => {
    expect(rowsOf(batchFrom([fieldOf('a', 'STRING')], [['\uFEFFx'], ['x']]))).toEqual([['\uFEFFx'], ['x']]);
  });

  test.each([
    ['INT64', 1.5],
    ['INT64', 2 ** 53],
    ['INT64', '1'],
    ['TIME64NS', Number.NaN],
    ['FLOAT64', 1n],
    ['BOOLEAN', 1],
    ['STRING', 1],
    ['UINT128', 1n],
    ['STRING', { high: 0n, low: 0n }],
  ] as const)('refuses a cell of another type: %s, %p', (type, cell) => {
    expect(() => batchFrom([fieldOf('x', type)], [[cell]])).toThrow(/row 0, column x: .*a cell of type/);
    const builder = columnBuilder(type);
    expect(() => builder.append(cell)).toThrow(TypeError);
    expect(builder.length).toBe(0);
  });

  test('refuses rows of the wrong width and columns that disagree with the schema', () => {
    expect(() => batchFrom([fieldOf('x', 'INT64')], [[1, 2]])).toThrow('row 0 has 2 cells for 1 columns');
    expect(() => batchOf([fieldOf('x', 'INT64')], [zeroColumn('FLOAT64', 1)])).toThrow('should be INT64');
  });
});

describe('rows out of a batch', () => {
  test('a slice, and a slice of a slice, has the rows between its bounds', () => {
    fc.assert(
      fc.property(tableArbitrary, fc.nat(60), fc.nat(60), ({ batch }, a, b) => {
        const [start, end] = [Math.min(a, b, batch.length), Math.min(Math.max(a, b), batch.length)];
        const slice = sliceBatch(batch, start, end);
        expect(plainRows(slice)).toEqual(plainRows(batch).slice(start, end));
        const middle = (end - start) >> 1;
        expect(plainRows(sliceBatch(slice, middle, end - start))).toEqual(plainRows(batch).slice(start + middle, end));
      }),
    );
  });

  test('taking by index repeats and reorders rows, also of a slice', () => {
    fc.assert(
      fc.property(tableArbitrary, fc.array(fc.nat()), ({ batch }, picks) => {
        const slice = sliceBatch(batch, Math.min(1, batch.length), batch.length);
        const indices = slice.length === 0 ? [] : picks.map((pick) => pick % slice.length);
        const rows = plainRows(slice);
        expect(plainRows(takeBatch(slice, Int32Array.from(indices)))).toEqual(indices.map((i) => rows[i]));
      }),
    );
  });

  test('a mask keeps the rows it marks', () => {
    fc.assert(
      fc.property(tableArbitrary, fc.array(fc.boolean(), { minLength: 60, maxLength: 60 }), ({ batch }, marks) => {
        const mask = Uint8Array.from(marks.slice(0, batch.length), Number);
        expect(plainRows(filterBatch(batch, mask))).toEqual(plainRows(batch).filter((_, i) => marks[i]));
      }),
    );
  });

  test('columns are selected by name, in the order asked for', () => {
    const batch = batchFrom([fieldOf('a', 'INT64'), fieldOf('b', 'INT64')], [[1, 2]]);
    expect(rowsOf(selectColumns(batch, ['b', 'a']))).toEqual([[2n, 1n]]);
    expect(() => selectColumns(batch, ['c'])).toThrow('no column c; there are a, b');
  });
});

describe('batches put together', () => {
  test('have the rows of all, with dictionaries merged', () => {
    const several = schemaArbitrary.chain((schema) =>
      fc.tuple(fc.constant(schema), fc.array(rowsArbitrary(schema, 30), { maxLength: 4 })),
    );
    fc.assert(
      fc.property(several, fc.nat(5), ([schema, parts], cut) => {
        const batches = parts
          .map((rows) => batchFrom(schema, rows))
          .map((b) => sliceBatch(b, Math.min(cut, b.length), b.length));
        const whole = concatBatches(schema, batches);
        expect(plainRows(whole)).toEqual(batches.flatMap(plainRows));
        expect(hasRepeatedEntries(whole)).toBe(false);
      }),
    );
  });

  test('share one dictionary where all of them are slices of one column', () => {
    const batch = batchFrom([fieldOf('s', 'STRING')], [['a'], ['b'], ['a'], ['b'], ['a']]);
    const whole = concatColumns([sliceBatch(batch, 3, 5), sliceBatch(batch, 0, 2)].map((b) => b.columns[0]!));
    expect(whole).toMatchObject({ length: 4, codes: Int32Array.of(1, 0, 0, 1) });
  });
});

describe('a string column', () => {
  test('is dictionary-encoded where values repeat and plain where more than half differ', () => {
    const build = (distinct: number, rows = 30_000): StringBuilder => {
      const builder = new StringBuilder();
      for (let i = 0; i < rows; i++) builder.append(`value ${i % distinct}`);
      return builder;
    };
    expect(build(8_000).finish()).toMatchObject({ length: 30_000, dictionary: { length: 8_000 } });
    const plainColumn = build(16_000).finish();
    expect(plainColumn.codes).toBeUndefined();
    expect(plainColumn.dictionary.length).toBe(30_000);
    expect(cellAt(plainColumn, 29_999)).toBe('value 13999');
  });

  test('stays a dictionary where few large values repeat among many small ones', () => {
    const builder = new StringBuilder();
    for (let i = 0; i < 4_000; i++) builder.append(i % 3 === 0 ? 'x'.repeat(5_000) : `${i}`);
    expect(builder.finish().dictionary.byteLength).toBeLessThan(50_000);
  });

  test('gives up its dictionary rather than its speed when entries are made to collide', () => {
    // A hash of 32 bits always has texts that meet in one slot chain; all that matters is that cells come out right.
    const builder = new StringBuilder();
    const cells = Array.from({ length: 20_000 }, (_, i) => Uint8Array.of(i & 1, 0, 0, 0, i & 0xff, i >> 8, 0));
    for (const cell of cells) builder.append(cell);
    const column = builder.finish();
    expect(cells.every((cell, i) => Buffer.compare(column.dictionary.bytes(column.codes?.[i] ?? i), cell) === 0)).toBe(
      true,
    );
  });

  test('cuts cells by bytes and marks them', () => {
    const builder = new StringBuilder(5);
    for (const cell of ['12345', '123456', 'aaaa€', Buffer.from('abcdefgh'), 'x'.repeat(100_000)]) builder.append(cell);
    const column = builder.finish();
    expect(Array.from({ length: 5 }, (_, i) => cellAt(column, i))).toEqual([
      '12345',
      '12345... [TRUNCATED]',
      'aaaa\uFFFD... [TRUNCATED]',
      'abcde... [TRUNCATED]',
      'xxxxx... [TRUNCATED]',
    ]);
    expect(builder.truncated).toBe(4);
  });

  test('repeats earlier rows also after it became plain', () => {
    const builder = new StringBuilder();
    for (let i = 0; i < 9_000; i++) builder.append(`${i}`);
    builder.repeat(7);
    expect(cellAt(builder.finish(), 9_000)).toBe('7');
  });
});

describe.each(DATA_TYPES)('a builder of %s', (type) => {
  const rows = schemaArbitrary.map(() => [fieldOf('x', type)]).chain((schema) => rowsArbitrary(schema, 3_000));

  test('leaves views as they were while it grows, is rewound and reordered behind them', () => {
    fc.assert(
      fc.property(rows, fc.nat(100), fc.infiniteStream(fc.nat()), (rows, at, random) => {
        const builder = columnBuilder(type);
        const cells = rows.map(([cell]) => cell!);
        const cut = Math.min(at, cells.length);
        cells.slice(0, cut).forEach((cell) => builder.append(cell));
        const view = batchOf([fieldOf('x', type)], [builder.view(0, cut)]);
        cells.slice(cut).forEach((cell) => builder.append(cell));
        builder.append(zeroOf(type));
        builder.rewind(cells.length);
        const order = cells.slice(cut).map((_, i) => ({ row: cut + i, key: random.next().value ?? 0 }));
        order.sort((a, b) => a.key - b.key);
        builder.permute(
          cut,
          Int32Array.from(order, ({ row }) => row),
        );
        expect(plainRows(view).flat()).toEqual(cells.slice(0, cut).map(plain));
        const expected = [...cells.slice(0, cut), ...order.map(({ row }) => cells[row]!)].map(plain);
        const built = batchOf([fieldOf('x', type)], [builder.finish()]);
        expect(plainRows(built).flat()).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });
});

test('a difference between batches is said in words', () => {
  const schema = [fieldOf('a', 'INT64'), fieldOf('b', 'STRING')];
  const batch = batchFrom(schema, [
    [1, 'x'],
    [2, 'y'],
  ]);
  expect(
    firstDifference(
      batch,
      batchFrom(schema, [
        [1, 'x'],
        [2, 'y'],
      ]),
    ),
  ).toBeUndefined();
  expect(
    firstDifference(
      batch,
      batchFrom(schema, [
        [1, 'x'],
        [2, 'z'],
      ]),
    ),
  ).toBe('row 1, column b');
  expect(firstDifference(batch, batchFrom(schema, [[1, 'x']]))).toBe('2 and 1 rows');
  expect(firstDifference(batch, selectColumns(batch, ['a']))).toBe('2 and 1 columns');
});
