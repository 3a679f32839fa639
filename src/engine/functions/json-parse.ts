// Strict JSON (RFC 8259) over byte strings, as the pluck functions need it: the written form of numbers is
// kept, members keep their order and the first of equal names wins, text ends at the first NUL byte. Strings come out
// as bytes, so invalid UTF-8 inside survives.
import { asByteString, toBytes, type ByteString } from '../byte-string.ts';
import { formatDouble, quoteJson } from './json-text.ts';

export type Json =
  | { readonly kind: 'null' }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'string'; readonly value: ByteString }
  | { readonly kind: 'array'; readonly items: readonly Json[] }
  | { readonly kind: 'object'; readonly members: readonly { readonly name: ByteString; readonly value: Json }[] };

/** Deeper nesting is refused, so that crafted input cannot exhaust the stack. */
const DEPTH_MAX = 256;

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
// oxlint-disable-next-line no-control-regex -- JSON forbids exactly these
const PLAIN_TEXT = /[^"\\\u0000-\u001f]*/y;
const WHITE_SPACE = /[ \t\n\r]*/y;

class Malformed extends Error {}

/** The value that the text is, or undefined where it is not exactly one JSON value. */
export function parseJson(text: ByteString): Json | undefined {
  const end = text.indexOf('\0');
  const source = end < 0 ? text : text.slice(0, end);
  let at = 0;

  function match(pattern: RegExp): string {
    pattern.lastIndex = at;
    const found = pattern.exec(source)?.[0] ?? '';
    at += found.length;
    return found;
  }

  function expect(word: string): void {
    if (!source.startsWith(word, at)) throw new Malformed();
    at += word.length;
  }

  function value(depth: number): Json {
    if (depth > DEPTH_MAX) throw new Malformed();
    match(WHITE_SPACE);
    switch (source.charAt(at)) {
      case '{':
        return object(depth);
      case '[':
        return array(depth);
      case '"':
        return { kind: 'string', value: string() };
      case 't':
        expect('true');
        return { kind: 'boolean', value: true };
      case 'f':
        expect('false');
        return { kind: 'boolean', value: false };
      case 'n':
        expect('null');
        return { kind: 'null' };
      default: {
        const number = match(NUMBER);
        if (number === '') throw new Malformed();
        return { kind: 'number', text: number };
      }
    }
  }

  function object(depth: number): Json {
    const members: { name: ByteString; value: Json }[] = [];
    at++;
    match(WHITE_SPACE);
    if (source[at] !== '}') {
      do {
        match(WHITE_SPACE);
        const name = string();
        match(WHITE_SPACE);
        expect(':');
        members.push({ name, value: value(depth + 1) });
        match(WHITE_SPACE);
      } while (source[at++] === ',');
      at--;
    }
    expect('}');
    return { kind: 'object', members };
  }

  function array(depth: number): Json {
    const items: Json[] = [];
    at++;
    match(WHITE_SPACE);
    if (source[at] !== ']') {
      do {
        items.push(value(depth + 1));
        match(WHITE_SPACE);
      } while (source[at++] === ',');
      at--;
    }
    expect(']');
    return { kind: 'array', items };
  }

  function string(): ByteString {
    expect('"');
    let out = match(PLAIN_TEXT);
    while (source[at] === '\\') {
      at++;
      out += escape() + match(PLAIN_TEXT);
    }
    expect('"');
    return asByteString(out);
  }

  function escape(): string {
    const letter = source[at++] ?? '';
    if (letter !== 'u') {
      const plain = ESCAPED[letter];
      if (plain === undefined) throw new Malformed();
      return plain;
    }
    const unit = hex();
    if (unit < 0xd800 || unit > 0xdfff) return toBytes(String.fromCharCode(unit));
    expect('\\u');
    const low = hex();
    if (unit > 0xdbff || low < 0xdc00 || low > 0xdfff) throw new Malformed();
    return toBytes(String.fromCharCode(unit, low));
  }

  function hex(): number {
    const digits = source.slice(at, at + 4);
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw new Malformed();
    at += 4;
    return Number.parseInt(digits, 16);
  }

  try {
    const parsed = value(0);
    match(WHITE_SPACE);
    return at === source.length ? parsed : undefined;
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

const ESCAPED: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

const UINT64_MAX = 0xffff_ffff_ffff_ffffn;
const INT64_MIN = -0x8000_0000_0000_0000n;

/** The integer that a number is: written without fraction and exponent, and within 64 bits (signed or unsigned). */
export function integerOf(text: string): bigint | undefined {
  if (/[.eE]/.test(text)) return undefined;
  const value = BigInt(text);
  return value < INT64_MIN || value > UINT64_MAX ? undefined : value;
}

/** Compact text: integers as they are, other numbers as the double they stand for. */
export function writeJson(json: Json): ByteString {
  switch (json.kind) {
    case 'null':
      return asByteString('null');
    case 'boolean':
      return asByteString(String(json.value));
    case 'number': {
      const integer = integerOf(json.text);
      if (integer !== undefined) return asByteString(integer.toString());
      const value = Number(json.text);
      // Digits that no double holds stay as they were written.
      return asByteString(Number.isFinite(value) ? formatDouble(value) : json.text);
    }
    case 'string':
      return quoteJson(json.value);
    case 'array':
      return asByteString(`[${json.items.map(writeJson).join(',')}]`);
    case 'object':
      return asByteString(
        `{${json.members.map(({ name, value }) => `${quoteJson(name)}:${writeJson(value)}`).join(',')}}`,
      );
  }
}
