// Strings and JSON. On byte strings the byte semantics of the language are JavaScript's own.
import { asByteString, type ByteString } from '../byte-string.ts';
import { integerOf, parseJson, writeJson, type Json } from './json-parse.ts';
import { quoteJson } from './json-text.ts';
import { I, perDistinct, S, toB, toF, toI, toS, type Implementations } from './kernel.ts';

const EMPTY = asByteString('');
const WHITE_SPACE = ' \t\n\v\f\r';

const INT64_MAX = 0x7fff_ffff_ffff_ffffn;
const fitsInt64 = (value: bigint): boolean => value <= INT64_MAX && value >= -INT64_MAX - 1n;

function substring(text: ByteString, position: bigint, length: bigint): ByteString {
  if (position < 0n || position > text.length || length < 0n) return EMPTY;
  const start = Number(position);
  const end = length > text.length ? text.length : start + Number(length);
  return asByteString(text.slice(start, end));
}

function trim(text: ByteString): ByteString {
  let start = 0;
  let end = text.length;
  while (start < end && WHITE_SPACE.includes(text.charAt(start))) start++;
  while (end > start && WHITE_SPACE.includes(text.charAt(end - 1))) end--;
  return asByteString(text.slice(start, end));
}

const hexToAscii = (hex: ByteString): ByteString =>
  hex.length % 2 === 0 && /^[0-9a-fA-F]*$/.test(hex) ? asByteString(Buffer.from(hex, 'hex').toString('latin1')) : EMPTY;

const bytesToHex = (bytes: ByteString): ByteString =>
  asByteString(Buffer.from(bytes, 'latin1').toString('hex').toUpperCase().replaceAll(/../g, '\\x$&'));

function atoi(text: ByteString, fallback: bigint): bigint {
  const digits = /^[+-]?[0-9]+$/.exec(trim(text))?.[0];
  if (digits === undefined) return fallback;
  const value = BigInt(digits.startsWith('+') ? digits.slice(1) : digits);
  return fitsInt64(value) ? value : fallback;
}

function split(text: ByteString, delimiter: ByteString): ByteString {
  const pieces = text === '' ? [''] : text.split(delimiter);
  return asByteString(`[${pieces.map((piece) => quoteJson(asByteString(piece))).join(',')}]`);
}

function member(json: ByteString, key: ByteString): Json | undefined {
  const parsed = parseJson(json);
  return parsed?.kind === 'object' ? parsed.members.find(({ name }) => name === key)?.value : undefined;
}

function plucked(value: Json | undefined): ByteString {
  if (value === undefined || value.kind === 'null') return EMPTY;
  return value.kind === 'string' ? value.value : writeJson(value);
}

function pluckInt64(json: ByteString, key: ByteString): bigint {
  const value = member(json, key);
  const integer = value?.kind === 'number' ? integerOf(value.text) : undefined;
  return integer !== undefined && fitsInt64(integer) ? integer : 0n;
}

/** Only numbers written with a fraction or exponent, or beyond 64 bits, count: `5` gives 0.0. */
function pluckFloat64(json: ByteString, key: ByteString): number {
  const value = member(json, key);
  if (value?.kind !== 'number' || integerOf(value.text) !== undefined) return 0;
  const number = Number(value.text);
  return Number.isFinite(number) ? number : 0;
}

function pluckArray(json: ByteString, index: bigint): ByteString {
  const parsed = parseJson(json);
  if (parsed?.kind !== 'array' || index < 0n || index >= parsed.items.length) return EMPTY;
  return plucked(parsed.items[Number(index)]);
}

function scriptReference(...[label, script, ...pairs]: readonly ByteString[]): ByteString {
  const args: string[] = [];
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    args.push(`${quoteJson(pairs[i] ?? EMPTY)}:${quoteJson(pairs[i + 1] ?? EMPTY)}`);
  }
  const head = `"label":${quoteJson(label ?? EMPTY)},"script":${quoteJson(script ?? EMPTY)}`;
  return asByteString(`{${head},"args":{${args.join(',')}}}`);
}

const scriptReferences: Implementations = Object.fromEntries(
  Array.from({ length: 9 }, (_, i) => 2 + 2 * i).map((arity) => [
    `_script_reference:${'S'.repeat(arity)}`,
    () =>
      perDistinct(
        Array.from({ length: arity }, () => S),
        toS,
        scriptReference,
      ),
  ]),
);

export const STRINGS: Implementations = {
  'contains:SS': () => perDistinct([S, S], toB, (text, part) => text.includes(part)),
  'length:S': () => perDistinct([S], toI, (text) => BigInt(text.length)),
  'find:SS': () => perDistinct([S, S], toI, (text, part) => BigInt(text.indexOf(part))),
  'substring:SII': () => perDistinct([S, I, I], toS, substring),
  'tolower:S': () =>
    perDistinct([S], toS, (text) => asByteString(text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase()))),
  'toupper:S': () =>
    perDistinct([S], toS, (text) => asByteString(text.replaceAll(/[a-z]+/g, (letters) => letters.toUpperCase()))),
  'trim:S': () => perDistinct([S], toS, trim),
  'strip_prefix:SS': () =>
    perDistinct([S, S], toS, (prefix, text) =>
      text.startsWith(prefix) ? asByteString(text.slice(prefix.length)) : text,
    ),
  'hex_to_ascii:S': () => perDistinct([S], toS, hexToAscii),
  'bytes_to_hex:S': () => perDistinct([S], toS, bytesToHex),
  'atoi:SI': () => perDistinct([S, I], toI, atoi),
  'itoa:I': () => perDistinct([I], toS, (value) => asByteString(value.toString())),
  'pluck:SS': () => perDistinct([S, S], toS, (json, key) => plucked(member(json, key))),
  'pluck_int64:SS': () => perDistinct([S, S], toI, pluckInt64),
  'pluck_float64:SS': () => perDistinct([S, S], toF, pluckFloat64),
  'pluck_array:SI': () => perDistinct([S, I], toS, pluckArray),
  'split:SS': () => perDistinct([S, S], toS, split),
  ...scriptReferences,
};
