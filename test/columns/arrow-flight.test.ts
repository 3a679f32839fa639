import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  createFlightWriter,
  flightSchema,
  type FlightMessage,
  type StringForm,
} from '../../src/columns/arrow-flight.ts';
import { FlightReadError, readFlight, type ReceivedMessage } from '../../src/columns/arrow-flight-read.ts';
import { readArrow } from '../../src/columns/arrow-read.ts';
import { batchFrom } from '../../src/columns/batch.ts';
import { fieldOf, type Batch } from '../../src/columns/column.ts';
import { cutBatch } from '../../src/columns/cut.ts';
import { sliceBatch } from '../../src/columns/select.ts';
import type { Schema } from '../../src/model/types.ts';
import { hasRepeatedEntries, plainRows, rowsArbitrary, schemaArbitrary, tableArbitrary } from './arbitraries.ts';

const runs = Number(process.env['SLUICE_FUZZ_RUNS'] ?? 100);
const seed = Number(process.env['SLUICE_FUZZ_SEED'] ?? Date.now() % 1_000_000);
const given = { seed, numRuns: runs };

async function written(schema: Schema, batches: readonly Batch[], form: StringForm): Promise<FlightMessage[]> {
  const writer = await createFlightWriter(schema, form);
  return [writer.schema, ...batches.flatMap((batch) => [...writer.write(batch)])];
}

/** As gRPC hands it over: the body in one piece, at any offset of its buffer. */
const received = ({ header, body }: FlightMessage, offset = 3): ReceivedMessage => ({
  header,
  body: Buffer.concat([Buffer.alloc(offset), ...body]).subarray(offset),
});

async function* each<T>(values: readonly T[]): AsyncGenerator<T> {
  yield* values;
}

async function read(messages: readonly ReceivedMessage[], schema: Schema): Promise<Batch[]> {
  const batches: Batch[] = [];
  for await (const batch of readFlight(each(messages), schema)) batches.push(batch);
  return batches;
}

/** The messages as one IPC stream, for readers that know nothing of Flight. */
function streamOf(messages: readonly FlightMessage[]): Uint8Array {
  const parts = messages.flatMap(({ header, body }) => {
    const length = header.length + (-header.length & 7);
    const prefix = Buffer.alloc(8 + length);
    prefix.writeUInt32LE(0xffff_ffff, 0);
    prefix.writeInt32LE(length, 4);
    prefix.set(header, 8);
    return [prefix, ...body];
  });
  return Buffer.concat(parts);
}

const tables = schemaArbitrary.chain((schema) =>
  fc.array(rowsArbitrary(schema, 20), { maxLength: 4 }).map((parts) => ({
    schema,
    batches: parts.map((rows) => batchFrom(schema, rows)),
  })),
);

test('what is written for our own processes is read with every byte the same', async () => {
  await fc.assert(
    fc.asyncProperty(tables, fc.nat(15), async ({ schema, batches }, offset) => {
      const messages = await written(schema, batches, 'bytes');
      const got = await read(
        messages.map((message) => received(message, offset)),
        schema,
      );
      expect(got.flatMap(plainRows)).toEqual(batches.flatMap(plainRows));
      expect(got.some(hasRepeatedEntries)).toBe(false);
      expect(messages.every(({ body, bodyLength }) => Buffer.concat(body).length === bodyLength)).toBe(true);
    }),
    given,
  );
});

test('what is written for others is an IPC stream with U+FFFD for what is not UTF-8', async () => {
  await fc.assert(
    fc.asyncProperty(tables, async ({ schema, batches }) => {
      const messages = await written(schema, batches, 'text');
      const got = await readArrow(streamOf(messages), schema);
      const texts = (rows: readonly (readonly string[])[]): string[][] =>
        rows.map((row) =>
          row.map((cell) => (cell.startsWith('s') ? Buffer.from(cell.slice(1), 'hex').toString('utf8') : cell)),
        );
      expect(texts(got.batches.flatMap(plainRows))).toEqual(texts(batches.flatMap(plainRows)));
    }),
    given,
  );
});

test('parts are the rows in order, each below the bound unless it is one row', () => {
  fc.assert(
    fc.property(tableArbitrary, fc.integer({ min: 1, max: 400 }), ({ batch }, bytesMax) => {
      const parts = [...cutBatch(batch, bytesMax)];
      expect(parts.flatMap(plainRows)).toEqual(plainRows(batch));
      for (const part of parts) {
        if (part.length === 1) continue;
        for (const column of part.columns)
          if (column.type === 'STRING') expect(column.dictionary.byteLength).toBeLessThanOrEqual(bytesMax);
      }
    }),
    given,
  );
});

const SCHEMA: Schema = [fieldOf('n', 'INT64'), fieldOf('text', 'STRING'), fieldOf('same', 'STRING')];

test('large columns go out in messages below 4 MiB, one row may be larger', async () => {
  const rows = Array.from({ length: 3000 }, (_, i) => [BigInt(i), `${i}-${'x'.repeat(5000)}`, 'y'.repeat(4000)]);
  const messages = await written(SCHEMA, [batchFrom(SCHEMA, rows)], 'bytes');
  expect(Math.max(...messages.map(({ bodyLength }) => bodyLength))).toBeLessThan(3.6 * 2 ** 20);
  const got = await read(
    messages.map((message) => received(message)),
    SCHEMA,
  );
  expect(got.reduce((sum, { length }) => sum + length, 0)).toBe(3000);
  expect(got.length).toBeGreaterThan(4);
  const huge = await written(SCHEMA, [batchFrom(SCHEMA, [[1n, 'x'.repeat(5e6), '']])], 'bytes');
  const [batch] = await read(
    huge.map((message) => received(message)),
    SCHEMA,
  );
  const column = batch?.columns[1];
  expect(column?.type === 'STRING' && column.dictionary.byteLength).toBe(5e6);
});

test('slices of one batch send their dictionary once', async () => {
  const whole = batchFrom(
    SCHEMA,
    Array.from({ length: 100 }, (_, i) => [BigInt(i), `${i % 3}`, 'same']),
  );
  const messages = await written(SCHEMA, [sliceBatch(whole, 0, 50), sliceBatch(whole, 50, 100)], 'bytes');
  // schema, two dictionaries, two batches
  expect(messages).toHaveLength(5);
  const [first, second] = await read(
    messages.map((message) => received(message)),
    SCHEMA,
  );
  const dictionaries = [first, second].map((batch) => {
    const column = batch?.columns[1];
    return column?.type === 'STRING' ? column.dictionary : undefined;
  });
  expect(dictionaries[0]).toBe(dictionaries[1]);
});

test('the bytes are these: the writer members that are used have not changed their meaning', async () => {
  const schema: Schema = [
    fieldOf('b', 'BOOLEAN'),
    fieldOf('i', 'INT64', 'ST_BYTES'),
    fieldOf('t', 'TIME64NS', 'ST_TIME_NS'),
    fieldOf('f', 'FLOAT64'),
    fieldOf('u', 'UINT128', 'ST_UPID'),
    fieldOf('s', 'STRING'),
  ];
  const rows = [
    [true, 1n, 2n, 0.5, { high: 1n, low: 2n }, 'a'],
    [false, -1n, 3n, -0, { high: 0n, low: 0n }, Uint8Array.of(0xff)],
    [true, 7n, 4n, 1, { high: 1n, low: 2n }, 'a'],
  ];
  const describe = async (form: StringForm) => {
    const messages = await written(schema, [batchFrom(schema, rows)], form);
    return messages.map(({ header, body, bodyLength }) => {
      // ids of dictionaries are counted over the whole process
      return `${header.length} ${bodyLength} ${Buffer.concat(body).toString('hex')}`;
    });
  };
  const column = (hex: string): string => hex.padEnd(Math.ceil(hex.length / 16) * 16, '0');
  const fixed = [
    column('05'),
    column('0100000000000000ffffffffffffffff0700000000000000'),
    column('020000000000000003000000000000000400000000000000'),
    column('000000000000e03f0000000000000080000000000000f03f'),
    column('0000000000000001000000000000000200000000000000000000000000000000').concat(
      '00000000000000010000000000000002',
    ),
    column('000000000100000002000000'),
  ].join('');
  const [head, dictionary, batch] = await describe('bytes');
  expect(head).toMatch(/^\d+ 0 $/);
  expect(dictionary?.split(' ').slice(1)).toEqual([
    '24',
    column('00000000010000000200000003000000') + column('61ff61'),
  ]);
  expect(batch?.split(' ').slice(1)).toEqual([String(fixed.length / 2), fixed]);
  const [, text] = await describe('text');
  expect(text?.split(' ').slice(1)).toEqual(['24', column('00000000010000000400000005000000') + column('61efbfbd61')]);
});

test('the encapsulated schema is one message, padded, and no end', async () => {
  const bytes = Buffer.from(await flightSchema(SCHEMA, 'text'));
  expect(bytes.readUInt32LE(0)).toBe(0xffff_ffff);
  expect(bytes.readInt32LE(4)).toBe(bytes.length - 8);
  expect(bytes.length % 8).toBe(0);
  expect((await readArrow(bytes)).schema).toEqual(SCHEMA);
});

test('another schema, another form, no schema, two of them: refused', async () => {
  const batch = batchFrom(SCHEMA, [[1n, 'a', 'b']]);
  const ours = (await written(SCHEMA, [batch], 'bytes')).map((message) => received(message));
  const texts = (await written(SCHEMA, [batch], 'text')).map((message) => received(message));
  await expect(read(texts, SCHEMA)).rejects.toThrow(/column text came as/);
  await expect(read(ours, SCHEMA.slice(1))).rejects.toThrow(/columns n, text, same came for text, same/);
  await expect(read(ours.slice(1), SCHEMA)).rejects.toThrow(FlightReadError);
  await expect(read([...ours, ...ours], SCHEMA)).rejects.toThrow(/one schema/);
  await expect(read(ours.toSpliced(1, 2), SCHEMA)).rejects.toThrow(FlightReadError);
  expect(await read(ours.slice(0, 1), SCHEMA)).toEqual([]);
});

test('bytes that were changed on the way are refused or read as other values, and nothing else happens', async () => {
  await fc.assert(
    fc.asyncProperty(tables, fc.nat(), fc.nat(), fc.nat(255), async ({ schema, batches }, which, at, byte) => {
      const messages = (await written(schema, batches, 'bytes')).map((message) => received(message));
      const index = which % messages.length;
      const [header, body] = [Buffer.from(messages[index]!.header), Buffer.from(messages[index]!.body)];
      const target = at % 2 === 0 && body.length > 0 ? body : header;
      target[at % target.length] = byte;
      messages[index] = { header, body };
      try {
        for (const batch of await read(messages, schema)) plainRows(batch);
      } catch (error) {
        expect(error).toBeInstanceOf(FlightReadError);
      }
    }),
    { ...given, numRuns: runs * 3 },
  );
});

test('the same rows make the same messages', async () => {
  const digest = async (): Promise<string> => {
    const messages = await written(SCHEMA, [batchFrom(SCHEMA, [[1n, 'a', 'b']])], 'bytes');
    return createHash('sha256')
      .update(Buffer.concat(messages.flatMap(({ body }) => [...body])))
      .digest('hex');
  };
  expect(await digest()).toBe(await digest());
});
