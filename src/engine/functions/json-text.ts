// Writing JSON the way the functions promise: compact, bytes above ASCII as they are, `/` not escaped,
// doubles always with a fraction or an exponent.
import { asByteString, type ByteString } from '../byte-string.ts';

/** Shortest digits that read back as the same double: `5.0`, `0.001`, `1e30`, `1.5e-7`. Finite values only. */
export function formatDouble(value: number): string {
  const text = Object.is(value, -0) ? '-0' : String(value);
  return /[.e]/.test(text) ? text.replace('e+', 'e') : `${text}.0`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

// oxlint-disable-next-line no-control-regex -- JSON demands that exactly these are escaped
const TO_ESCAPE = /["\\\u0000-\u001f]/g;

/** A JSON string literal of the bytes. */
export const quoteJson = (bytes: ByteString): ByteString =>
  asByteString(
    `"${bytes.replace(TO_ESCAPE, (char) => ESCAPES[char] ?? `\\u${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`)}"`,
  );
