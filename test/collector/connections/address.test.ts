import { SocketAddress, BlockList } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { addressText, mapped, parseRange, rangeHas } from '../../../src/collector/connections/address.ts';

const V4 = 2;
const V6 = 10;
const bytes4 = fc.uint8Array({ minLength: 4, maxLength: 4 });
/** Many zero words, so that runs of them are common. */
const bytes16 = fc
  .array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), { minLength: 8, maxLength: 8 })
  .map((words) => Uint8Array.from(words.flatMap((word) => [word >> 8, word & 255])));
const full = (bytes: Uint8Array): string =>
  Array.from({ length: 8 }, (_, i) => (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16)).join(':');

test('an IPv4 address is its dotted quad', () => {
  fc.assert(fc.property(bytes4, (bytes) => expect(addressText(mapped(V4, bytes))).toBe(bytes.join('.'))));
});

test('an IPv6 address is the text that the system has for it', () => {
  fc.assert(
    fc.property(bytes16, (bytes) => {
      const theirs = new SocketAddress({ address: full(bytes), family: 'ipv6' }).address;
      // Only the mapped form is shown as IPv4; the system does so for the long abandoned compatible form too.
      fc.pre(!theirs.includes('.'));
      expect(addressText(mapped(V6, bytes))).toBe(theirs);
    }),
    { numRuns: 1000 },
  );
});

test('an IPv4-mapped address reads as IPv4', () => {
  expect(addressText(mapped(V6, Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 1, 2, 3])))).toBe(
    '10.1.2.3',
  );
});

describe('a range', () => {
  test('has the addresses that the system says it has', () => {
    fc.assert(
      fc.property(bytes16, bytes16, fc.integer({ min: 0, max: 128 }), fc.boolean(), (net, other, bits, isNear) => {
        const address = isNear ? net.map((byte, i) => (i * 8 < bits ? byte : (other[i] ?? 0))) : other;
        const list = new BlockList();
        list.addSubnet(full(net), bits, 'ipv6');
        expect(rangeHas(parseRange(`${full(net)}/${bits}`), mapped(V6, address))).toBe(
          list.check(full(address), 'ipv6'),
        );
      }),
    );
  });

  test.each([
    ['10.0.0.0/8', '10.255.1.1', true],
    ['10.0.0.0/8', '11.0.0.0', false],
    ['10.1.2.3', '10.1.2.3', true],
    ['10.1.2.3', '10.1.2.4', false],
    ['0.0.0.0/0', '203.0.113.9', true],
  ])('%s and %s: %s', (range, address, wanted) => {
    expect(rangeHas(parseRange(range), mapped(V4, Uint8Array.from(address.split('.').map(Number))))).toBe(wanted);
  });

  test.each([
    '',
    '10.0.0',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '256.1.1.1',
    'fd00::1::2',
    'fd00:/8',
    'fd00::/129',
    '1:2:3:4:5:6:7:8::',
    'localhost',
    '10.0.0.0/x',
  ])('"%s" is none', (text) => {
    expect(() => parseRange(text)).toThrow(`"${text}" is no address range; write it like 10.0.0.0/8 or fd00::/8`);
  });
});
