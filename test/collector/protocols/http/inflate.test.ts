import { gzipSync, constants } from 'node:zlib';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { INFLATED_BYTES_MAX, inflatePrefix } from '../../../../src/collector/protocols/http/inflate.ts';

const runs = Number(process.env['SLUICE_FUZZ_RUNS'] ?? 300);

/** Text that compresses, text that does not, and what lies between. */
const content = fc.oneof(
  fc.uint8Array({ maxLength: 3000 }).map((array) => Buffer.from(array)),
  fc
    .tuple(fc.string({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 200 }))
    .map(([text, n]) => Buffer.from(text.repeat(n))),
  fc
    .array(fc.constantFrom('{"id":', '"name"', ',', 'ä', '123', 'true}'), { maxLength: 400 })
    .map((a) => Buffer.from(a.join(''))),
);
const compression = fc.record({
  level: fc.constantFrom(0, 1, 6, 9),
  strategy: fc.constantFrom(constants.Z_DEFAULT_STRATEGY, constants.Z_FIXED, constants.Z_HUFFMAN_ONLY),
});

test('any prefix of a gzip member inflates to a prefix of what zlib compressed', () => {
  fc.assert(
    fc.property(
      content,
      compression,
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.integer({ min: 1, max: INFLATED_BYTES_MAX }),
      (plain, options, part, limit) => {
        const packed = gzipSync(plain, options);
        const { output, end } = inflatePrefix(packed, 0, Math.floor(part * packed.length), limit);
        expect(Buffer.from(output).equals(plain.subarray(0, output.length))).toBe(true);
        expect(output.length).toBeLessThanOrEqual(limit);
        expect(end).not.toBe('damaged');
        const whole = inflatePrefix(packed, 0, packed.length, limit);
        expect(whole.output.length).toBe(Math.min(limit, plain.length));
        expect(whole.end).toBe(plain.length < limit ? 'end' : 'full');
      },
    ),
    { numRuns: runs },
  );
});

test('any bytes give an end and no more output than asked for', () => {
  const header = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0]);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(255), fc.boolean(), (noise, flags, hasHeader) => {
      const bytes = hasHeader ? Buffer.concat([header, noise]) : Buffer.from(noise);
      if (hasHeader) bytes[3] = flags;
      const { output, end } = inflatePrefix(bytes, 0, bytes.length, 100);
      expect(output.length).toBeLessThanOrEqual(100);
      expect(['end', 'full', 'short', 'damaged']).toContain(end);
    }),
    { numRuns: runs },
  );
});

test('optional fields of the gzip header are passed over', () => {
  const packed = gzipSync('hello');
  const extra = Buffer.concat([
    Buffer.from([3, 0]),
    Buffer.from('xyz'),
    Buffer.from('name\0'),
    Buffer.from('comment\0'),
    Buffer.from([0, 0]),
  ]);
  const bytes = Buffer.concat([
    packed.subarray(0, 3),
    Buffer.from([2 | 4 | 8 | 16]),
    packed.subarray(4, 10),
    extra,
    packed.subarray(10),
  ]);
  expect(Buffer.from(inflatePrefix(bytes, 0, bytes.length, 100).output).toString()).toBe('hello');
});
