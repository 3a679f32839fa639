// Addresses of sockets: their text as the tables show it, and whether they belong to this host or its cluster.
import { ADDRESS_FAMILY } from '../frames/frame.ts';

/** The columns' value where a peer is not known. */
export const UNKNOWN_ADDRESS = '-';
export const UNKNOWN_PORT = -1;

const MAPPED_PREFIX_BYTES = 12;

/** All addresses in one space: 16 bytes, IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2). */
export function mapped(family: number, address: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(16);
  if (family === ADDRESS_FAMILY.INET) {
    bytes.set([0xff, 0xff], 10);
    bytes.set(address.subarray(0, 4), MAPPED_PREFIX_BYTES);
  } else bytes.set(address.subarray(0, 16));
  return bytes;
}

/** True for IPv4 and IPv4-mapped IPv6. `bytes` as `mapped` gives them. */
export function isV4(bytes: Uint8Array): boolean {
  for (let i = 0; i < 10; i += 1) if (bytes[i] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}

const wordAt = (bytes: Uint8Array, i: number): number => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0);

/** The longest run of two or more zero words, as [start, length]; the first of equals (RFC 5952 section 4.2.3). */
function longestZeros(bytes: Uint8Array): readonly [number, number] {
  let best: readonly [number, number] = [8, 0];
  for (let start = 0; start < 8; start += 1) {
    let end = start;
    while (end < 8 && wordAt(bytes, end) === 0) end += 1;
    if (end - start >= 2 && end - start > best[1]) best = [start, end - start];
  }
  return best;
}

/** Dotted quad for IPv4 and mapped addresses, inet_ntop(3) text without brackets for IPv6. `bytes` as `mapped` gives them. */
export function addressText(bytes: Uint8Array): string {
  if (isV4(bytes)) return bytes.subarray(MAPPED_PREFIX_BYTES).join('.');
  const [start, length] = longestZeros(bytes);
  const words = (from: number, to: number): string => {
    const texts: string[] = [];
    for (let i = from; i < to; i += 1) texts.push(wordAt(bytes, i).toString(16));
    return texts.join(':');
  };
  return length === 0 ? words(0, 8) : `${words(0, start)}::${words(start + length, 8)}`;
}

/** Unspecified address: a socket that is not connected, or one that nobody could ask. */
export const isUnspecified = (bytes: Uint8Array): boolean =>
  isV4(bytes) ? bytes.subarray(MAPPED_PREFIX_BYTES).every((byte) => byte === 0) : bytes.every((byte) => byte === 0);

export interface AddressRange {
  /** As `mapped` gives it. */
  readonly address: Uint8Array;
  /** Of 128. */
  readonly prefixBits: number;
}

/** A range from a family's own prefix length. */
export const rangeOf = (family: number, address: Uint8Array, prefixBits: number): AddressRange => ({
  address: mapped(family, address),
  prefixBits: Math.min(family === ADDRESS_FAMILY.INET ? prefixBits + 96 : prefixBits, 128),
});

export function rangeHas(range: AddressRange, address: Uint8Array): boolean {
  const whole = range.prefixBits >> 3;
  for (let i = 0; i < whole; i += 1) if (range.address[i] !== address[i]) return false;
  const rest = range.prefixBits & 7;
  return rest === 0 || ((range.address[whole] ?? 0) ^ (address[whole] ?? 0)) >> (8 - rest) === 0;
}

function parseV4(text: string): number[] | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) return undefined;
  return parts.map(Number);
}

function parseV6(text: string): number[] | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head = [], tail = []] = halves.map((half) => (half === '' ? [] : half.split(':')));
  if (![...head, ...tail].every((word) => /^[0-9a-f]{1,4}$/i.test(word))) return undefined;
  const zeros = 8 - head.length - tail.length;
  if (halves.length === 2 ? zeros < 1 : zeros !== 0) return undefined;
  const words = [...head, ...Array.from({ length: zeros }, () => '0'), ...tail].map((word) =>
    Number.parseInt(word, 16),
  );
  return words.flatMap((word) => [word >> 8, word & 0xff]);
}

/** Parses `10.0.0.0/8`, `fd00::/8` or a bare address; throws RangeError where the text is none of them. */
export function parseRange(text: string): AddressRange {
  const [address = '', prefix, extra] = text.split('/');
  const v4 = parseV4(address);
  const bytes = v4 ?? parseV6(address);
  const bitsMax = v4 === undefined ? 128 : 32;
  const bits = prefix === undefined ? bitsMax : Number(prefix);
  if (
    bytes === undefined ||
    extra !== undefined ||
    prefix === '' ||
    !Number.isInteger(bits) ||
    bits < 0 ||
    bits > bitsMax
  ) {
    throw new RangeError(`"${text}" is no address range; write it like 10.0.0.0/8 or fd00::/8`);
  }
  return rangeOf(v4 === undefined ? ADDRESS_FAMILY.INET6 : ADDRESS_FAMILY.INET, Uint8Array.from(bytes), bits);
}

export const LOOPBACK: readonly AddressRange[] = ['127.0.0.0/8', '::1'].map(parseRange);
