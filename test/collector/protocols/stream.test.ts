import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ByteStream, HELD_BYTES_MAX } from '../../../src/collector/protocols/stream.ts';

const bytes = (text: string): Buffer => Buffer.from(text);

/** Reads all that is next in line, as text; bytes that were not captured as dots. */
function drain(stream: ByteStream): string {
  let text = '';
  for (let piece = stream.next(); piece !== undefined; piece = stream.next()) {
    text += Buffer.from(piece.bytes).toString().padEnd(piece.size, '.').slice(piece.offset);
    stream.consume(piece, piece.size - piece.offset);
  }
  return text;
}

test('pieces behind a hole wait until it is filled, and come out in order', () => {
  const stream = new ByteStream();
  stream.hold(5, 3, bytes('fgh'), 3);
  stream.hold(2, 3, bytes('cde'), 2);
  expect([stream.next(), stream.behindHole()?.position]).toEqual([undefined, 2]);
  stream.hold(0, 2, bytes('ab'), 4);
  expect(drain(stream)).toBe('abcdefgh');
  expect([stream.position, stream.bytesHeld, stream.isEmpty]).toEqual([8, 0, true]);
});

test('a hole can be given up, and what was in it is ignored afterwards', () => {
  const stream = new ByteStream();
  stream.hold(4, 2, bytes('ef'), 1);
  expect(stream.skipHole()).toBe(4);
  expect(stream.hold(0, 4, bytes('abcd'), 2)).toBe(false);
  expect(drain(stream)).toBe('ef');
  expect(stream.skipHole()).toBe(0);
});

test('sizes without bytes keep positions right', () => {
  const stream = new ByteStream();
  stream.hold(2, 1000, bytes('cd'), 1);
  stream.hold(1002, 1, bytes('z'), 2);
  stream.hold(0, 2, bytes('ab'), 3);
  expect(drain(stream)).toBe(`abcd${'.'.repeat(998)}z`);
  expect(stream.position).toBe(1003);
});

test('what is held is a copy, and too much of it shows', () => {
  const stream = new ByteStream();
  const scratch = bytes('abc');
  stream.hold(1, 3, scratch, 1);
  scratch.fill(0);
  expect(Buffer.from(stream.behindHole()?.bytes ?? []).toString()).toBe('abc');
  expect(stream.isOverfull).toBe(false);
  stream.hold(10, HELD_BYTES_MAX, Buffer.alloc(HELD_BYTES_MAX), 2);
  expect(stream.isOverfull).toBe(true);
  stream.clear();
  expect([stream.bytesHeld, stream.isEmpty]).toEqual([0, true]);
  for (let i = 0; i <= 256; i++) stream.hold(2 * i + 1, 1, bytes('x'), i);
  expect(stream.isOverfull).toBe(true);
});

test('whatever overlaps and in whatever order, each position is read once, with the bytes that were there', () => {
  const text = Array.from({ length: 60 }, (_, i) => String.fromCharCode(48 + i)).join('');
  const range = fc.tuple(fc.nat(59), fc.integer({ min: 1, max: 20 }));
  fc.assert(
    fc.property(fc.array(range, { maxLength: 30 }), (ranges) => {
      const stream = new ByteStream();
      const seen: string[] = [];
      for (const [start, length] of ranges) {
        const end = Math.min(60, start + length);
        stream.hold(start, end - start, bytes(text.slice(start, end)), start);
        for (let from = stream.position, read = drain(stream); read !== ''; read = '') {
          expect(read).toBe(text.slice(from, from + read.length));
          seen.push(read);
        }
      }
      expect(seen.join('').length).toBe(stream.position);
    }),
  );
});
