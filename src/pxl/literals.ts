// Number and string tokens to values. Prefixes of integers mean their base, unlike where PxL comes from.

const INT64_MAX = 0x7fff_ffff_ffff_ffffn;

export type NumberLiteral =
  | { readonly kind: 'int'; readonly value: bigint }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'invalid'; readonly message: string; readonly suggestion?: string };

/** Reads a number token. An exponent or a point makes it FLOAT64, else it is INT64 and must fit. */
export function parseNumber(token: string): NumberLiteral {
  const text = token.replaceAll(/(?<=[0-9A-Fa-f])_(?=[0-9A-Fa-f])/g, '');
  if (/^(?:0[xX][0-9A-Fa-f]+|0[oO][0-7]+|0[bB][01]+|0+|[1-9]\d*)$/.test(text)) {
    const value = BigInt(/^0\d/.test(text) ? '0' : text);
    if (value <= INT64_MAX) return { kind: 'int', value };
    return {
      kind: 'invalid',
      message: `${token} does not fit INT64`,
      suggestion: 'the largest INT64 is 9223372036854775807',
    };
  }
  if (/^(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][+-]?\d+)?$/.test(text)) {
    const value = Number(text);
    if (Number.isFinite(value)) return { kind: 'float', value };
    return { kind: 'invalid', message: `${token} does not fit FLOAT64` };
  }
  if (/^0\d+$/.test(text)) {
    const plain = text.replace(/^0+/, '');
    return {
      kind: 'invalid',
      message: `${token} starts with 0 and could be octal or decimal`,
      suggestion: `write ${plain}, or 0o${plain} for octal`,
    };
  }
  return { kind: 'invalid', message: `${token} is not a number` };
}

const SIMPLE: Readonly<Record<string, string>> = {
  '\\': '\\',
  "'": "'",
  '"': '"',
  b: '\b',
  f: '\f',
  t: '\t',
  n: '\n',
  r: '\r',
  v: '\v',
  a: '\u0007',
  '\n': '',
};

const ESCAPE = /\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{2})|([\s\S]))/g;

/** The value of a string token with prefix and quotes. `r` and `u` keep backslashes; unknown escapes stay as they are. */
export function parseString(token: string): string {
  const match = /^([A-Za-z]*)('''|"""|'|")/.exec(token);
  if (match === null) return '';
  const [opening, prefix = '', quote = ''] = match;
  const content = token.slice(opening.length, token.length - quote.length);
  if (/[ru]/i.test(prefix)) return content;
  return content.replaceAll(ESCAPE, (whole, octal: string | undefined, hex: string | undefined, other: string) => {
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8) & 0xff);
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    return SIMPLE[other] ?? whole;
  });
}
