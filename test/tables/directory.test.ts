import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { writeArrow } from '../../src/columns/arrow-write.ts';
import { batchFrom, rowsOf } from '../../src/columns/batch.ts';
import { fieldOf } from '../../src/columns/column.ts';
import { jsonObjects } from '../../src/columns/json.ts';
import { schemaOf, tableNamed } from '../../src/model/catalogue.ts';
import { openDirectory, type TableDirectory } from '../../src/tables/directory.ts';
import { SourceError } from '../../src/tables/source-error.ts';
import { plainRows, rowsArbitrary } from '../columns/arbitraries.ts';

const made: string[] = [];
afterAll(() => made.forEach((path) => rmSync(path, { recursive: true })));

function folderOf(files: Readonly<Record<string, string | Uint8Array>>): string {
  const path = mkdtempSync(join(tmpdir(), 'sluice-tables-'));
  made.push(path);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content);
  return path;
}

const open = (files: Readonly<Record<string, string | Uint8Array>>): Promise<TableDirectory> =>
  openDirectory(folderOf(files));
const read = (source: TableDirectory, table: string, columns: string[]): unknown[][] =>
  [...source.snapshot(table, { columns })].flatMap(rowsOf);

const exits = tableNamed('proc_exit_events')!;
const exitsSchema = schemaOf(exits);

describe('rows as JSON', () => {
  test('every notation of a cell is understood, missing columns and nulls are zero values', async () => {
    const source = await open({
      'proc_exit_events.ndjson': [
        '\uFEFF{"time_":1790000000123456789,"upid":"1:42:9007199254740993","exit_code":9223372036854775807,"signal":"-3","comm":"a"}',
        '{"time_":"2026-11-21T08:00:00.000000001Z","upid":"00000001-0000-002a-0020-000000000001","comm":null}',
        '',
        '{"time_":"1790000000000000000"}\r',
      ].join('\n'),
    });
    expect(
      read(
        source,
        'proc_exit_events',
        exitsSchema.map(({ name }) => name),
      ),
    ).toEqual([
      [1_790_000_000_000_000_000n, { high: 0n, low: 0n }, 0n, 0n, ''],
      [1_790_000_000_123_456_789n, { high: (1n << 32n) | 42n, low: 9_007_199_254_740_993n }, 2n ** 63n - 1n, -3n, 'a'],
      [1_795_248_000_000_000_001n, { high: (1n << 32n) | 42n, low: 9_007_199_254_740_993n }, 0n, 0n, ''],
    ]);
    expect(source.rows('proc_exit_events')).toBe(3);
    expect(source.range).toEqual({ start: 1_790_000_000_000_000_000n, end: 1_795_248_000_000_000_002n });
    expect(source.warnings).toEqual([]);
  });

  test.each([
    ['{"signal":1.5}', 'proc_exit_events.ndjson:1: column signal: 1.5 is no INT64; allowed: a whole number'],
    ['{"signal":9223372036854775808}', 'column signal: 9223372036854775808 is no INT64'],
    ['{"signal":true}', 'column signal: true is no INT64'],
    [
      '{}\n{"time_":"yesterday"}',
      ':2: column time_: "yesterday" is no TIME64NS; allowed: whole nanoseconds since 1970, or an RFC 3339',
    ],
    ['{"upid":5}', 'column upid: 5 is no UINT128; allowed: "asid:pid:start_ticks"'],
    [
      '{"comm":{"a":12345678901234567890}}',
      'column comm: {"a":"12345678901234567890"} is no STRING; allowed: a string',
    ],
    ['[1,2]', ':1: not a JSON object; each line is one row'],
    ['{}\n\n{"a"', ':3: not JSON: '],
  ])('%s is refused with file, line, column and what is allowed', async (text, message) => {
    const opening = open({ 'proc_exit_events.ndjson': text });
    await expect(opening).rejects.toThrow(SourceError);
    await expect(opening).rejects.toThrow(message);
  });

  test('a line without an end is refused, not read into memory', async () => {
    await expect(open({ 'proc_exit_events.ndjson': `{}\n${' '.repeat(17 * 1024 * 1024)}` })).rejects.toThrow(
      'proc_exit_events.ndjson:2: the line is longer than 16 MiB',
    );
  });

  test('BOOLEAN and FLOAT64 columns are read, floats beyond JSON as text', async () => {
    const table = {
      ...exits,
      name: 't',
      columns: [
        ...exits.columns.slice(0, 1),
        ...['BOOLEAN', 'FLOAT64'].map((type) => ({ ...exits.columns[2]!, name: type, type: type as 'BOOLEAN' })),
      ],
    };
    const path = folderOf({
      't.ndjson': '{"BOOLEAN":true,"FLOAT64":0.1}\n{"FLOAT64":"NaN"}\n{"FLOAT64":12345678901234567890}',
    });
    const source = await openDirectory(path, [table]);
    expect(read(source, 't', ['BOOLEAN', 'FLOAT64'])).toEqual([
      [true, 0.1],
      [false, NaN],
      [false, Number('12345678901234567890')],
    ]);
    await expect(openDirectory(folderOf({ 't.ndjson': '{"BOOLEAN":1}' }), [table])).rejects.toThrow(
      'allowed: true or false',
    );
    await expect(openDirectory(folderOf({ 't.ndjson': '{"FLOAT64":"x"}' }), [table])).rejects.toThrow(
      '"x" is no FLOAT64',
    );
  });

  test('what is printed as JSON reads back the same', async () => {
    await fc.assert(
      fc.asyncProperty(rowsArbitrary(exitsSchema, 20), async (rows) => {
        const batch = batchFrom(exitsSchema, rows);
        const text = batchFrom(exitsSchema, rowsOf(batch));
        const source = await open({ 'proc_exit_events.ndjson': [...jsonObjects(batch)].join('\n') });
        const sorted = plainRows(text).sort((a, b) =>
          BigInt(a[0]!) < BigInt(b[0]!) ? -1 : BigInt(a[0]!) > BigInt(b[0]!) ? 1 : 0,
        );
        expect([...source.snapshot('proc_exit_events')].flatMap(plainRows)).toEqual(sorted);
      }),
      { numRuns: 30 },
    );
  });

  test('text of any kind gives rows or a clear error', async () => {
    const piece = fc.oneof(
      fc.string(),
      fc.json(),
      fc.constantFrom('{"signal":', '}', '\n', '{"time_":1}', '[', '"comm"', '9'.repeat(30)),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece), async (pieces) => {
        try {
          (await open({ 'proc_exit_events.ndjson': pieces.join('') })).rows('proc_exit_events');
        } catch (error) {
          expect(error).toBeInstanceOf(SourceError);
        }
      }),
    );
  });
});

describe('rows as Arrow', () => {
  test('a file or stream of the table is read, and rows of several batches are sorted by time', async () => {
    const half = (start: number) =>
      batchFrom(
        exitsSchema,
        Array.from({ length: 33_000 }, (_, i) => [start - i * 2, { high: 1n, low: 2n }, i, 0, `c${i % 3}`]),
      );
    for (const form of ['file', 'stream'] as const) {
      const source = await open({
        'proc_exit_events.arrow': await writeArrow(exitsSchema, [half(100_000), half(100_001)], form),
      });
      const times = read(source, 'proc_exit_events', ['time_']).map(([time]) => time as bigint);
      expect(times).toHaveLength(66_000);
      expect(times.every((time, i) => i === 0 || time >= times[i - 1]!)).toBe(true);
      expect([...source.snapshot('proc_exit_events')].every((batch) => batch.length <= 65_536)).toBe(true);
      expect(source.snapshot('proc_exit_events', { start: 100_000n, end: 100_001n }).rows).toBe(1);
    }
  });

  test('columns that are missing are zero, unknown ones are passed over with a warning', async () => {
    const schema = [fieldOf('comm', 'STRING'), fieldOf('colour', 'STRING'), fieldOf('time_', 'INT64')];
    const source = await open({
      'proc_exit_events.arrow': await writeArrow(schema, [batchFrom(schema, [['a', 'red', 5]])]),
    });
    expect(read(source, 'proc_exit_events', ['time_', 'comm', 'signal'])).toEqual([[5n, 'a', 0n]]);
    expect(source.warnings).toEqual([
      'proc_exit_events.arrow: table proc_exit_events has no column colour; it is not read',
    ]);
  });

  test('a column of another type is refused with what is allowed', async () => {
    const schema = [fieldOf('signal', 'STRING')];
    await expect(
      open({ 'proc_exit_events.arrow': await writeArrow(schema, [batchFrom(schema, [['9']])]) }),
    ).rejects.toThrow('proc_exit_events.arrow: column signal is Utf8; INT64 is read from an integer of any width');
  });

  test('a file that is no Arrow is refused', async () => {
    await expect(open({ 'proc_exit_events.arrow': 'time_,upid\n1,2\n' })).rejects.toThrow('proc_exit_events.arrow: ');
  });
});

describe('the folder', () => {
  test('tables without a file are empty, others are unknown', async () => {
    const source = await open({});
    expect(read(source, 'http_events', ['time_'])).toEqual([]);
    expect(source.range).toBeUndefined();
    expect(() => source.snapshot('nothing')).toThrow('no table nothing; there are http_events');
    expect(() => source.snapshot('http_events', { columns: ['x'] })).toThrow('table http_events has no column x');
  });

  test('a file that names no table is passed over with a warning, two files for a table are refused', async () => {
    const source = await open({
      'http_event.ndjson': '{}',
      'README.md': '',
      'nats_events.beta.ndjson': '{"cmd":"PUB"}',
    });
    expect(source.warnings).toEqual(['http_event.ndjson: no table is called http_event; the file is not read']);
    expect(read(source, 'nats_events.beta', ['cmd'])).toEqual([['PUB']]);
    await expect(open({ 'http_events.ndjson': '', 'http_events.arrow': '' })).rejects.toThrow('a table has one file');
  });

  test('with a folder in the place of a file is a clear error', async () => {
    const path = folderOf({});
    mkdirSync(join(path, 'http_events.ndjson'));
    await expect(openDirectory(path)).rejects.toThrow('http_events.ndjson: cannot be read: EISDIR');
  });

  test('that does not exist is a clear error', async () => {
    await expect(openDirectory('/no/such/folder')).rejects.toThrow(
      '/no/such/folder: cannot be read as a folder of tables',
    );
  });
});

describe('identity.ndjson', () => {
  test('names processes and pods', async () => {
    const { identity } = await open({
      'identity.ndjson': [
        '{"upid":"1:42:7","cmdline":"cart --port 80","container":"cart","pod":"shop/cart-0","services":["shop/cart","shop/all"],"node":"n1","deployment":"shop/cart","podIP":"10.0.0.7"}',
        '{"upid":"1:43:8","pod":"shop/cart-0","namespace":"other"}',
        '{"upid":"1:44:9","pod":null,"services":["shop/pay"],"deployment":null}',
      ].join('\n'),
    });
    expect(identity.process({ high: (1n << 32n) | 42n, low: 7n })).toMatchObject({
      cmdline: 'cart --port 80',
      container: 'cart',
      pod: 'shop/cart-0',
      namespace: 'shop',
      services: ['shop/cart', 'shop/all'],
      podIp: '10.0.0.7',
      replicaset: '',
    });
    expect(identity.process({ high: (1n << 32n) | 43n, low: 8n })?.namespace).toBe('other');
    expect(identity.process({ high: (1n << 32n) | 44n, low: 9n })).toMatchObject({ pod: '', namespace: 'shop' });
    expect(identity.process({ high: 1n, low: 8n })).toBeUndefined();
    expect(identity.podByIp('10.0.0.7')?.node).toBe('n1');
    expect(identity.podByName('shop/cart-0')?.cmdline).toBe('cart --port 80');
    expect(identity.podById('x')).toBeUndefined();
    expect(identity.podByIp('')).toBeUndefined();
  });

  test.each([
    ['{"upid":"1:2"}', 'identity.ndjson:1: column upid: must be "asid:pid:start_ticks"'],
    ['{"upid":"1:2:3","service":"a"}', 'identity.ndjson:1: unknown key "service"; there are upid, cmdline'],
    ['{}\n{"services":"a"}', 'identity.ndjson:2: column services: must be a list of strings'],
    ['{"pod":5}', 'column pod: must be a string'],
    ['{"pod":"cart"}', 'column pod: must be "namespace/name"'],
    ['{"__proto__":{"pod":"a/b"}}', 'unknown key "__proto__"'],
  ])('%s is refused with line and key', async (text, message) => {
    await expect(open({ 'identity.ndjson': text })).rejects.toThrow(message);
  });
});
