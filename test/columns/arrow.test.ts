import { describe, expect, test } from '@jest/globals';
import * as arrow from 'apache-arrow';
import fc from 'fast-check';
import { ArrowReadError, readArrow } from '../../src/columns/arrow-read.ts';
import { writeArrow } from '../../src/columns/arrow-write.ts';
import { batchFrom, rowsOf } from '../../src/columns/batch.ts';
import { fieldOf } from '../../src/columns/column.ts';
import { concatBatches } from '../../src/columns/concat.ts';
import { firstDifference } from '../../src/columns/equality.ts';
import { sliceBatch } from '../../src/columns/select.ts';
import type { Cell, DataType } from '../../src/model/types.ts';
import { DATA_TYPES, rowsArbitrary, schemaArbitrary } from './arbitraries.ts';

const asText = (cell: Cell): Cell =>
  cell instanceof Uint8Array ? new TextDecoder('utf-8', { ignoreBOM: true }).decode(cell) : cell;

describe('what is written', () => {
  test.each(['file', 'stream'] as const)(
    'as a %s reads back the same, with U+FFFD for bytes that are not UTF-8',
    async (form) => {
      const several = schemaArbitrary.chain((schema) =>
        fc.tuple(fc.constant(schema), fc.array(rowsArbitrary(schema, 30), { minLength: 1, maxLength: 3 })),
      );
      await fc.assert(
        fc.asyncProperty(several, fc.nat(3), async ([schema, parts], cut) => {
          const batches = parts
            .map((rows) => batchFrom(schema, rows))
            .map((b) => sliceBatch(b, Math.min(cut, b.length), b.length));
          const rows = parts.flatMap((rows) => rows.slice(Math.min(cut, rows.length)));
          const content = await readArrow(await writeArrow(schema, batches, form));
          expect(content.schema).toEqual(schema);
          const read = concatBatches(schema, content.batches);
          expect(
            firstDifference(
              read,
              batchFrom(
                schema,
                rows.map((row) => row.map(asText)),
              ),
            ),
          ).toBeUndefined();
        }),
        { numRuns: 60 },
      );
    },
  );

  test('has the Arrow types that other tools expect', async () => {
    const schema = DATA_TYPES.map((type) => fieldOf(type, type));
    const row: Cell[] = [
      true,
      -5n,
      { high: 0x0102_0304_0506_0708n, low: 0x090a_0b0c_0d0e_0f10n },
      0.5,
      'GET',
      1_790_000_000_123_456_789n,
    ];
    const table = arrow.tableFromIPC(await writeArrow(schema, [batchFrom(schema, [row, row, row])]));
    expect(Object.fromEntries(table.schema.fields.map((field) => [field.name, `${field.type}`]))).toEqual({
      BOOLEAN: 'Bool',
      INT64: 'Int64',
      UINT128: 'FixedSizeBinary[16]',
      FLOAT64: 'Float64',
      STRING: 'Dictionary<Int32, Utf8>',
      TIME64NS: 'Timestamp<NANOSECOND, UTC>',
    });
    expect(table.getChild('UINT128')?.get(2)).toEqual(Uint8Array.from({ length: 16 }, (_, i) => i + 1));
    expect(table.getChild('TIME64NS')?.data[0]?.values[1]).toBe(1_790_000_000_123_456_789n);
    expect([
      table.getChild('BOOLEAN')?.get(1),
      table.getChild('INT64')?.get(1),
      table.getChild('STRING')?.get(1),
    ]).toEqual([true, -5n, 'GET']);
    const distinct = arrow.tableFromIPC(
      await writeArrow([fieldOf('s', 'STRING')], [batchFrom([fieldOf('s', 'STRING')], [['a'], ['b'], ['c']])]),
    );
    expect(`${distinct.schema.fields[0]?.type}`).toBe('Utf8');
  });

  test('keeps semantic types', async () => {
    const schema = [fieldOf('latency', 'INT64', 'ST_DURATION_NS')];
    expect((await readArrow(await writeArrow(schema, [batchFrom(schema, [[1]])]))).schema).toEqual(schema);
  });

  test('is cut into record batches of at most 65,536 rows', async () => {
    const schema = [fieldOf('n', 'INT64'), fieldOf('s', 'STRING')];
    const batch = batchFrom(
      schema,
      Array.from({ length: 70_000 }, (_, i): Cell[] => [i, `${i % 10}`]),
    );
    const { batches } = await readArrow(await writeArrow(schema, [batch, batch]));
    expect(batches.map(({ length }) => length)).toEqual([65_536, 65_536, 8_928]);
    expect(firstDifference(concatBatches(schema, batches), concatBatches(schema, [batch, batch]))).toBeUndefined();
  });

  test('may be empty', async () => {
    const schema = DATA_TYPES.map((type) => fieldOf(type, type));
    expect(await readArrow(await writeArrow(schema, []))).toEqual({ schema, batches: [], ignored: [], missing: [] });
  });
});

const vectors: readonly (readonly [string, arrow.Vector, DataType, readonly Cell[]])[] = [
  ['Int8', arrow.vectorFromArray([1, null, -3], new arrow.Int8()), 'INT64', [1n, 0n, -3n]],
  ['Uint32', arrow.vectorFromArray([4_294_967_295, null], new arrow.Uint32()), 'INT64', [4_294_967_295n, 0n]],
  ['Uint64', arrow.vectorFromArray([5n, null], new arrow.Uint64()), 'INT64', [5n, 0n]],
  ['Int64', arrow.vectorFromArray([-(2n ** 63n), null], new arrow.Int64()), 'INT64', [-(2n ** 63n), 0n]],
  ['Int16', arrow.vectorFromArray([7, 8], new arrow.Int16()), 'FLOAT64', [7, 8]],
  ['Float32', arrow.vectorFromArray([0.5, null], new arrow.Float32()), 'FLOAT64', [0.5, 0]],
  ['Float64', arrow.vectorFromArray([0.1, null, NaN], new arrow.Float64()), 'FLOAT64', [0.1, 0, NaN]],
  ['Bool', arrow.vectorFromArray([true, null, false], new arrow.Bool()), 'BOOLEAN', [true, false, false]],
  ['Uint8 as a flag', arrow.vectorFromArray([1, 0], new arrow.Uint8()), 'BOOLEAN', [true, false]],
  ['Utf8', arrow.vectorFromArray(['a', null, 'é'], new arrow.Utf8()), 'STRING', ['a', '', 'é']],
  ['LargeUtf8', arrow.vectorFromArray(['a', null, 'é'], new arrow.LargeUtf8()), 'STRING', ['a', '', 'é']],
  ['Binary', arrow.vectorFromArray([Uint8Array.of(0x61), null], new arrow.Binary()), 'STRING', ['a', '']],
  [
    'Dictionary',
    arrow.vectorFromArray(['x', null, 'x', 'y'], new arrow.Dictionary(new arrow.Utf8(), new arrow.Int8())),
    'STRING',
    ['x', '', 'x', 'y'],
  ],
  [
    'Dictionary of integers',
    arrow.vectorFromArray([5, 6, 5], new arrow.Dictionary(new arrow.Int32(), new arrow.Int16())),
    'INT64',
    [5n, 6n, 5n],
  ],
  [
    'Timestamp(s)',
    arrow.makeVector(arrow.makeData({ type: new arrow.TimestampSecond(), data: BigInt64Array.of(3n) })),
    'TIME64NS',
    [3_000_000_000n],
  ],
  [
    'Timestamp(ms)',
    arrow.makeVector(arrow.makeData({ type: new arrow.TimestampMillisecond(), data: BigInt64Array.of(3n) })),
    'TIME64NS',
    [3_000_000n],
  ],
  [
    'Timestamp(us)',
    arrow.makeVector(arrow.makeData({ type: new arrow.TimestampMicrosecond(), data: BigInt64Array.of(3n) })),
    'TIME64NS',
    [3_000n],
  ],
  [
    'Timestamp(ns)',
    arrow.makeVector(arrow.makeData({ type: new arrow.TimestampNanosecond(), data: BigInt64Array.of(3n) })),
    'TIME64NS',
    [3n],
  ],
  [
    'Date(day)',
    arrow.makeVector(arrow.makeData({ type: new arrow.DateDay(), data: Int32Array.of(1) })),
    'TIME64NS',
    [86_400_000_000_000n],
  ],
  ['Int64 as a time', arrow.vectorFromArray([9n, null], new arrow.Int64()), 'TIME64NS', [9n, 0n]],
  [
    'Duration(ms)',
    arrow.makeVector(arrow.makeData({ type: new arrow.DurationMillisecond(), data: BigInt64Array.of(2n) })),
    'INT64',
    [2_000_000n],
  ],
  [
    'FixedSizeBinary(16)',
    arrow.makeVector(
      arrow.makeData({
        type: new arrow.FixedSizeBinary(16),
        length: 1,
        data: Uint8Array.from({ length: 16 }, (_, i) => i),
      }),
    ),
    'UINT128',
    [{ high: 0x0001_0203_0405_0607n, low: 0x0809_0a0b_0c0d_0e0fn }],
  ],
  ['Null', arrow.makeVector(arrow.makeData({ type: new arrow.Null(), length: 2 })), 'INT64', [0n, 0n]],
];

describe('what others wrote', () => {
  const bytesOf = (vector: arrow.Vector, form: 'file' | 'stream'): Uint8Array =>
    arrow.tableToIPC(new arrow.Table({ x: vector }), form);

  test.each(vectors)('%s is read leniently, nulls as zero values', async (_, vector, type, expected) => {
    for (const form of ['file', 'stream'] as const) {
      const { batches } = await readArrow(bytesOf(vector, form), [fieldOf('x', type)]);
      expect(batches.flatMap(rowsOf).flat()).toEqual(expected);
    }
  });

  test.each([
    [
      'a text where a number should be',
      arrow.vectorFromArray(['1'], new arrow.Utf8()),
      'INT64',
      'column x is Utf8; INT64 is read from an integer of any width',
    ],
    [
      'a float where a number should be',
      arrow.vectorFromArray([1.5], new arrow.Float64()),
      'INT64',
      'column x is Float; INT64',
    ],
    [
      'a number too large',
      arrow.vectorFromArray([2n ** 63n], new arrow.Uint64()),
      'INT64',
      'column x, row 0: 9223372036854775808 does not fit',
    ],
    [
      'a flag of 2',
      arrow.vectorFromArray([1, 2], new arrow.Uint8()),
      'BOOLEAN',
      'column x, row 1: 2 is neither 0 nor 1',
    ],
    [
      'a time beyond the range',
      arrow.makeVector(arrow.makeData({ type: new arrow.TimestampSecond(), data: BigInt64Array.of(2n ** 40n) })),
      'TIME64NS',
      'column x, row 0',
    ],
    [
      'eight bytes for an id',
      arrow.vectorFromArray([new Uint8Array(8)], new arrow.Binary()),
      'UINT128',
      'column x, row 0: a UINT128 has 16 bytes',
    ],
  ] as const)('%s is refused with column and what is allowed', async (_, vector, type, message) => {
    await expect(readArrow(bytesOf(vector, 'stream'), [fieldOf('x', type)])).rejects.toThrow(message);
  });

  test('columns are found by name; missing ones are zero, unknown ones are named', async () => {
    const table = new arrow.Table({
      b: arrow.vectorFromArray([1, 2], new arrow.Int32()),
      c: arrow.vectorFromArray(['x', 'y'], new arrow.Utf8()),
    });
    const content = await readArrow(arrow.tableToIPC(table), [fieldOf('a', 'STRING'), fieldOf('b', 'INT64')]);
    expect(content.batches.flatMap(rowsOf)).toEqual([
      ['', 1n],
      ['', 2n],
    ]);
    expect(content).toMatchObject({ ignored: ['c'], missing: ['a'] });
  });
});

describe('bytes that are no Arrow', () => {
  test.each([
    ['nothing', new Uint8Array(0)],
    ['text', Buffer.from('{"a":1}\n{"a":2}\n')],
    ['zeroes', new Uint8Array(64)],
  ])('%s: a clear error', async (_, bytes) => {
    await expect(readArrow(bytes)).rejects.toThrow(ArrowReadError);
  });

  test('damaged files give rows or a clear error, never anything else', async () => {
    const schema = [
      fieldOf('n', 'INT64'),
      fieldOf('s', 'STRING'),
      fieldOf('p', 'STRING'),
      fieldOf('u', 'UINT128'),
      fieldOf('b', 'BOOLEAN'),
    ];
    const rows = Array.from({ length: 40 }, (_, i): Cell[] => [
      i,
      `${i % 3}`,
      `p${i}`,
      { high: 1n, low: BigInt(i) },
      i % 2 === 0,
    ]);
    const forms = await Promise.all(
      (['file', 'stream'] as const).map((form) => writeArrow(schema, [batchFrom(schema, rows)], form)),
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...forms), fc.nat(), fc.nat(255), fc.nat(), async (bytes, at, value, length) => {
        const damaged = bytes.slice(0, length % 4 === 0 ? length % bytes.length : bytes.length);
        if (damaged.length > 0) damaged[at % damaged.length] = value;
        try {
          for (const batch of (await readArrow(damaged, schema)).batches) rowsOf(batch);
        } catch (error) {
          expect(error).toBeInstanceOf(ArrowReadError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
