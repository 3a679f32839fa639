// Files that pyarrow 26 wrote: a table of int16, large_string, string_view, dictionary<int32, string>, timestamp[us], bool,
// fixed_size_binary[16], float32 and null columns with nulls in the second row. The stream has rows 1 to 3, then 2 and 3.
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { readArrow } from '../../src/columns/arrow-read.ts';
import { rowsOf } from '../../src/columns/batch.ts';

const fixture = (name: string): Uint8Array =>
  readFileSync(new URL(`fixtures/pyarrow-26.${name}.arrow`, import.meta.url));
const bytes = { high: 0x0001_0203_0405_0607n, low: 0x0809_0a0b_0c0d_0e0fn };
const zero = { high: 0n, low: 0n };
const ROWS = [
  [1n, 'a', 'a', 'x', 1_000n, true, bytes, 0.5, ''],
  [0n, '', '', 'y', 0n, false, zero, 0, ''],
  [-3n, 'é', 'a string longer than twelve', '', 3_000n, false, zero, 2, ''],
];

test('a file reads as the rows that were written', async () => {
  expect((await readArrow(fixture('file'))).batches.flatMap(rowsOf)).toEqual(ROWS);
});

test('a stream of several batches, one of them a slice, reads as the rows that were written', async () => {
  expect((await readArrow(fixture('stream'))).batches.flatMap(rowsOf)).toEqual([...ROWS, ...ROWS.slice(1)]);
});

test('a compressed file is refused with what to do', async () => {
  await expect(readArrow(fixture('lz4'))).rejects.toThrow('its batches are compressed; write it without compression');
});
