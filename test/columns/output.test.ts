import { describe, expect, test } from '@jest/globals';
import { DuckDBInstance } from '@duckdb/node-api';
import fc from 'fast-check';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { batchFrom, rowsOf } from '../../src/columns/batch.ts';
import { fieldOf } from '../../src/columns/column.ts';
import { csvHeader, csvRows } from '../../src/columns/csv.ts';
import { formatCell, formatTable, toneOf } from '../../src/columns/format.ts';
import { jsonColumns, jsonObjects, jsonRows } from '../../src/columns/json.ts';
import { formatFloat } from '../../src/columns/units.ts';
import type { Cell, DataType, SemanticType } from '../../src/model/types.ts';
import { DATA_TYPES, tableArbitrary } from './arbitraries.ts';

const schema = DATA_TYPES.map((type) => fieldOf(type.toLowerCase(), type));
const sample: Cell[] = [
  true,
  9_223_372_036_854_775_807n,
  { high: (1n << 32n) | 42n, low: 7n },
  0.1,
  'a "b",\n',
  1_790_000_000_123_456_789n,
];

describe('JSON', () => {
  test('keeps all digits of integers and times', () => {
    expect([...jsonRows(batchFrom(schema, [sample]))]).toEqual([
      '[true,9223372036854775807,"1:42:7",0.1,"a \\"b\\",\\n",1790000000123456789]',
    ]);
    expect([...jsonObjects(batchFrom(schema.slice(0, 2), [sample.slice(0, 2)]))]).toEqual([
      '{"boolean":true,"int64":9223372036854775807}',
    ]);
    expect(jsonColumns(schema.slice(0, 1))).toBe('[{"name":"boolean","type":"BOOLEAN","semanticType":"ST_NONE"}]');
  });

  test('has words for floats that JSON has no number for, and escapes every text', () => {
    const columns = [fieldOf('f', 'FLOAT64'), fieldOf('s', 'STRING')];
    const rows = [
      ...jsonRows(
        batchFrom(columns, [
          [NaN, '\u0000'],
          [-Infinity, Uint8Array.of(0xff)],
          [-0, '\ud800'],
        ]),
      ),
    ];
    expect(rows).toEqual(['["NaN","\\u0000"]', '["-Infinity","\uFFFD"]', '[0,"\uFFFD"]']);
  });

  test('is JSON, whatever the cells', () => {
    fc.assert(
      fc.property(tableArbitrary, ({ batch, schema }) => {
        for (const row of jsonObjects(batch))
          expect(Object.keys(JSON.parse(row) as object)).toEqual(schema.map(({ name }) => name));
        for (const row of jsonRows(batch)) expect(JSON.parse(row)).toHaveLength(schema.length);
      }),
    );
  });
});

test('CSV quotes only what needs it', () => {
  expect(csvHeader([...schema, fieldOf('a,b', 'STRING')])).toBe(
    'boolean,int64,uint128,float64,string,time64ns,"a,b"\r\n',
  );
  expect([...csvRows(batchFrom(schema, [sample]))]).toEqual([
    'true,9223372036854775807,1:42:7,0.1,"a ""b"",\n",1790000000123456789\r\n',
  ]);
});

test('CSV and JSON lines say the same to DuckDB as to us', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-output-'));
  const columns = [fieldOf('n', 'INT64'), fieldOf('s', 'STRING'), fieldOf('b', 'BOOLEAN'), fieldOf('t', 'TIME64NS')];
  const texts = ['', 'plain', 'with, comma', 'with "quotes"', 'two\nlines', '\r', 'é€😀', "it's", ' spaces '];
  const rows = texts.map((s, i): Cell[] => [
    9_223_372_036_854_775_807n - BigInt(i),
    s,
    i % 2 === 0,
    1_790_000_000_123_456_789n + BigInt(i),
  ]);
  const batch = batchFrom(columns, rows);
  writeFileSync(join(folder, 'rows.csv'), csvHeader(columns) + [...csvRows(batch)].join(''));
  writeFileSync(join(folder, 'rows.ndjson'), [...jsonObjects(batch)].map((row) => `${row}\n`).join(''));
  const connection = await (await DuckDBInstance.create()).connect();
  const types = "{'n':'BIGINT','s':'VARCHAR','b':'BOOLEAN','t':'BIGINT'}";
  for (const from of [
    `read_csv('${folder}/rows.csv', header = true, columns = ${types}, quote = '"', escape = '"', delim = ',', new_line = '\\r\\n', strict_mode = false, force_not_null = ['s'])`,
    `read_json('${folder}/rows.ndjson', format = 'newline_delimited', columns = ${types})`,
  ]) {
    const result = await connection.runAndReadAll(`SELECT n, s, b, t FROM ${from} ORDER BY t`);
    expect(result.getRows()).toEqual(rowsOf(batch));
  }
  connection.closeSync();
  rmSync(folder, { recursive: true });
});

const cellText = (type: DataType, semanticType: SemanticType, cell: Cell): string => {
  const field = fieldOf('x', type, semanticType);
  return formatCell(field, batchFrom([field], [[cell]]).columns[0]!, 0);
};

describe('a cell for people', () => {
  test.each([
    ['ST_BYTES', 0, '0 B'],
    ['ST_BYTES', 9, '9 B'],
    ['ST_BYTES', 10, '10.0 B'],
    ['ST_BYTES', 500, '500 B'],
    ['ST_BYTES', 1536, '1.5 KiB'],
    ['ST_BYTES', -1536, '-1.5 KiB'],
    ['ST_BYTES', 200 * 1024, '200 KiB'],
    ['ST_BYTES', 3 * 2 ** 40, '3.0 TiB'],
    ['ST_DURATION_NS', 5, '5 ns'],
    ['ST_DURATION_NS', 1_500, '1.5 µs'],
    ['ST_DURATION_NS', 123_456_789, '123 ms'],
    ['ST_DURATION_NS', 12_345_678, '12.3 ms'],
    ['ST_DURATION_NS', 59e9, '59.0 s'],
    ['ST_DURATION_NS', 125e9, '2 min 5 s'],
    ['ST_DURATION_NS', -125e9, '-2 min 5 s'],
    ['ST_DURATION_NS', 3_720e9, '1 hours 2 min'],
    ['ST_DURATION_NS', 90_000e9, '1 days 1 hours'],
    ['ST_NONE', 1234567, '1234567'],
  ] as const)('%s %p is %s', (semanticType, value, text) => {
    expect(cellText('INT64', semanticType, value)).toBe(text);
  });

  test.each([
    ['ST_PERCENT', 0.12345, '12.35 %'],
    ['ST_THROUGHPUT_PER_NS', 1.5e-9, '1.500000/sec'],
    ['ST_THROUGHPUT_BYTES_PER_NS', 2.048e-6, '2.0 KiB/sec'],
    ['ST_DURATION_NS', 1500.5, '1.5 µs'],
    ['ST_NONE', 0.1 + 0.2, '0.3'],
    ['ST_NONE', 123456.789, '123457'],
    ['ST_NONE', 1234567.89, '1.23457e+06'],
    ['ST_NONE', 0.00001234, '1.234e-05'],
    ['ST_NONE', -2, '-2'],
    ['ST_NONE', NaN, 'NaN'],
    ['ST_BYTES', Infinity, 'Infinity'],
  ] as const)('%s %p is %s', (semanticType, value, text) => {
    expect(cellText('FLOAT64', semanticType, value)).toBe(text);
  });

  test('has six significant digits as a float, like C', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(Number(formatFloat(value))).toBe(Number(value.toPrecision(6)) + 0);
      }),
    );
  });

  test('shows quantiles in order, labels of references, ids, times', () => {
    expect(cellText('STRING', 'ST_QUANTILES', '{"p50":2.5,"p01":1}')).toBe('p01: 1, p50: 2.5');
    expect(cellText('STRING', 'ST_DURATION_NS_QUANTILES', '{"p50":2500.0}')).toBe('p50: 2.5 µs');
    expect(cellText('STRING', 'ST_QUANTILES', '{"p50":')).toBe('{"p50":');
    expect(cellText('STRING', 'ST_QUANTILES', '[1]')).toBe('[1]');
    expect(cellText('STRING', 'ST_SCRIPT_REFERENCE', '{"label":"cart","script":"x"}')).toBe('cart');
    expect(cellText('STRING', 'ST_SCRIPT_REFERENCE', 'cart')).toBe('cart');
    expect(cellText('UINT128', 'ST_UPID', { high: (1n << 32n) | 42n, low: 7n })).toBe('1:42:7');
    expect(cellText('UINT128', 'ST_NONE', { high: (1n << 32n) | 42n, low: 7n })).toBe(
      '00000001-0000-002a-0000-000000000007',
    );
    expect(cellText('TIME64NS', 'ST_NONE', 1_790_000_000_123_456_789n)).toBe('2026-09-21T14:13:20.123456789Z');
  });

  test('has a tone where the column says so', () => {
    const toneFor = (name: string, type: DataType, semanticType: SemanticType, cell: Cell) => {
      const field = fieldOf(name, type, semanticType);
      return toneOf(field, batchFrom([field], [[cell]]).columns[0]!, 0);
    };
    expect([200, 302, 404].map((status) => toneFor('resp_status', 'INT64', 'ST_HTTP_RESP_STATUS', status))).toEqual([
      'good',
      undefined,
      'bad',
    ]);
    expect([200e6, 400e6, 401e6].map((ns) => toneFor('latency', 'INT64', 'ST_DURATION_NS', ns))).toEqual([
      'good',
      'fair',
      'bad',
    ]);
    expect([
      toneFor('up', 'BOOLEAN', 'ST_NONE', true),
      toneFor('alert_x', 'BOOLEAN', 'ST_NONE', true),
      toneFor('alert', 'BOOLEAN', 'ST_NONE', false),
    ]).toEqual(['good', 'bad', undefined]);
  });
});

describe('a table for people', () => {
  test('is aligned, numbers to the right', () => {
    const columns = [
      fieldOf('service', 'STRING'),
      fieldOf('n', 'INT64'),
      fieldOf('latency', 'INT64', 'ST_DURATION_NS'),
    ];
    const batch = batchFrom(columns, [
      ['cart', 5, 1_500],
      ['漢字é', 12345, 2_000_000],
    ]);
    expect(formatTable(columns, [batch])).toBe(
      [
        'service      n  latency',
        '───────  ─────  ───────',
        'cart         5   1.5 µs',
        '漢字é    12345   2.0 ms',
        '',
      ].join('\n'),
    );
    expect(formatTable(columns, [])).toBe('service  n  latency\n───────  ─  ───────\n');
  });

  test('paints tones outside of the padding', () => {
    const columns = [fieldOf('latency', 'INT64', 'ST_DURATION_NS')];
    const text = formatTable(columns, [batchFrom(columns, [[1]])], { paint: (cell, tone) => `<${tone}>${cell}</>` });
    expect(text.split('\n')[2]).toBe('   <good>1 ns</>');
  });

  test('shows control characters and cuts long cells', () => {
    const columns = [fieldOf('s', 'STRING')];
    const text = formatTable(columns, [batchFrom(columns, [['a\u001b[31mb\n\t\u202e'], ['x'.repeat(300)]])], {
      cellWidthMax: 30,
    });
    expect(text.split('\n').slice(2, 4)).toEqual(['a\\x1b[31mb\\n\\t\\u202e', `${'x'.repeat(29)}…`]);
  });

  test('has one line a row, whatever the cells', () => {
    fc.assert(
      fc.property(tableArbitrary, ({ batch, schema }) => {
        const text = formatTable(schema, [batch]);
        expect(text.split('\n')).toHaveLength(batch.length + 3);
        // eslint-disable-next-line no-control-regex -- exactly these must not be there
        expect(text.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f]/);
      }),
    );
  });
});
