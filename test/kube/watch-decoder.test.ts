// R6 and R3: bytes of a watch, whatever the network made of them.
import { inspect } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ApiError, type KubeObject, type WatchEvent } from '../../src/kube/types.ts';
import { decodeEvent, lines } from '../../src/kube/watch-decoder.ts';

const numRuns = Number(process.env['SLUICE_FUZZ_RUNS'] ?? 300);

async function* chunksOf(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  let start = 0;
  for (const cut of cuts.toSorted((a, b) => a - b)) {
    const end = Math.min(cut, bytes.length);
    yield bytes.subarray(start, end);
    start = end;
  }
  yield bytes.subarray(start);
}

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const result: T[] = [];
  for await (const value of values) result.push(value);
  return result;
}

const eventOf = (name: string, text: string): string =>
  JSON.stringify({ type: 'ADDED', object: { metadata: { name, resourceVersion: '7' }, data: { text } } });

const anyText = fc.string({ unit: 'binary', maxLength: 40 });

describe('lines', () => {
  test('R6: chunks that end anywhere, line ends of both kinds and empty lines change nothing', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(anyText, fc.constantFrom('\n', '\r\n', '\n\n', '\r\n\r\n')), { maxLength: 12 }),
        fc.array(fc.nat(2000), { maxLength: 60 }),
        async (events, cuts) => {
          const text = events.map(([value, end]) => eventOf('a', value) + end).join('');
          const decoded = await all(lines(chunksOf(Buffer.from(text), cuts)));
          expect(decoded.map((line) => JSON.parse(line))).toEqual(
            events.map(([value]) => JSON.parse(eventOf('a', value))),
          );
        },
      ),
      { numRuns },
    );
  });

  test('R6: each cut through characters of two, three and four bytes', async () => {
    const bytes = Buffer.from(`${eventOf('ä€😀', '😀€ä')}\n`);
    for (let cut = 0; cut <= bytes.length; cut++) {
      expect(await all(lines(chunksOf(bytes, [cut])))).toEqual([eventOf('ä€😀', '😀€ä')]);
    }
  });

  test('R6: an object as big as etcd takes, in chunks as the network has them', async () => {
    const line = eventOf('big', 'x'.repeat(1_572_864));
    const cuts = Array.from({ length: 200 }, (_, index) => index * 16_384);
    expect(await all(lines(chunksOf(Buffer.from(`${line}\n${line}\n`), cuts)))).toEqual([line, line]);
  });

  test('a line that is too long is refused before it is held', async () => {
    let sent = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        sent += 1000;
        yield Buffer.alloc(1000, 'x');
      }
    }
    await expect(all(lines(endless(), 10_000))).rejects.toThrow('longer than 10000 bytes');
    expect(sent).toBeLessThanOrEqual(12_000);
    await expect(all(lines(chunksOf(Buffer.from(`${'x'.repeat(20)}\n`), []), 10))).rejects.toThrow('longer than 10 b');
  });

  test('an event that was cut off is an error, and what came before it is not lost', async () => {
    const got: string[] = [];
    const reading = async (): Promise<void> => {
      for await (const line of lines(chunksOf(Buffer.from(`{"a":1}\n{"b":`), []))) got.push(line);
    };
    await expect(reading()).rejects.toThrow('cut off in the middle of an event, after 5 bytes');
    expect(got).toEqual(['{"a":1}']);
  });
});

describe('decodeEvent', () => {
  const attempt = (line: string): WatchEvent<KubeObject> | Error => {
    try {
      return decodeEvent(line);
    } catch (thrown) {
      return thrown as Error;
    }
  };
  const error = (object: unknown): unknown => attempt(JSON.stringify({ type: 'ERROR', object }));

  test('a bookmark is its version', () => {
    const object = { kind: 'Pod', metadata: { resourceVersion: '12', creationTimestamp: null } };
    expect(decodeEvent(JSON.stringify({ type: 'BOOKMARK', object }))).toEqual({
      type: 'BOOKMARK',
      resourceVersion: '12',
    });
  });

  test('R3: an ERROR event is an ApiError with its code, or with 410 where only the reason says so', () => {
    const expired = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version: 1 (9)' };
    expect(error(expired)).toMatchObject({
      name: 'ApiError',
      status: 410,
      reason: 'Expired',
      message: expired.message,
    });
    expect(error({ kind: 'Status', reason: 'Gone' })).toMatchObject({ status: 410 });
    expect(error({ kind: 'Status', reason: 'Expired' })).toMatchObject({ status: 410 });
    expect(error({ kind: 'Status', code: 429, details: { retryAfterSeconds: 3 } })).toMatchObject({
      status: 429,
      retryAfterMs: 3000,
    });
    expect(error({ what: 'ever' })).toMatchObject({ name: 'ApiError', status: 500, reason: '' });
    expect(error(undefined)).toMatchObject({ name: 'ApiError', status: 500 });
  });

  test('X9: no error tells what was in the line', () => {
    for (const line of [
      '{"type":"ADDED","object":{"data":"hunter2"}',
      '{"type":"hunter2","object":{}}',
      '"hunter2"',
      'hunter2',
    ]) {
      expect(inspect(attempt(line))).toContain('an event of the watch');
      expect(inspect(attempt(line))).not.toContain('hunter2');
    }
  });

  test('whatever a line holds, it is an event or an Error with a short message', () => {
    const event = fc.record(
      {
        type: fc.oneof(fc.constantFrom('ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR'), fc.jsonValue()),
        object: fc.oneof(
          fc.jsonValue(),
          fc.record({ kind: fc.constant('Status'), code: fc.jsonValue(), message: fc.jsonValue() }),
          fc.record({ metadata: fc.oneof(fc.jsonValue(), fc.record({ resourceVersion: fc.jsonValue() })) }),
        ),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(
        fc.oneof(
          event.map((value) => JSON.stringify(value)),
          fc.json(),
          fc.string({ maxLength: 3000 }),
        ),
        (line) => {
          const result = attempt(line);
          if (!(result instanceof Error)) {
            if (result.type === 'BOOKMARK') expect(typeof result.resourceVersion).toBe('string');
            else expect(typeof result.object.metadata).toBe('object');
            return;
          }
          expect(Buffer.byteLength(result.message)).toBeLessThanOrEqual(600);
          if (result instanceof ApiError) expect(Number.isInteger(result.status)).toBe(true);
        },
      ),
      { numRuns },
    );
  });
});
