// Strings, JSON and regular expressions. Lengths and positions count bytes.
import type { FunctionSignature } from '../signature.ts';
import { always, scalar } from './build.ts';

const SCRIPT_REFERENCE_ARITIES = Array.from({ length: 9 }, (_, i) => 2 + 2 * i);

export const STRINGS: readonly FunctionSignature[] = [
  scalar('contains', 'SS>B', 'Whether the second string occurs in the first'),
  scalar('length', 'S>I', 'Length in bytes'),
  scalar('find', 'SS>I', 'First byte position of the second string in the first, -1 where it does not occur'),
  scalar('substring', 'SII>S', 'Up to `len` bytes from a position'),
  scalar('tolower', 'S>S', 'ASCII letters in lower case'),
  scalar('toupper', 'S>S', 'ASCII letters in upper case'),
  scalar('trim', 'S>S', 'Without ASCII white space at both ends'),
  scalar('strip_prefix', 'SS>S', 'The second string without the first at its start'),
  scalar('hex_to_ascii', 'S>S', 'Bytes that pairs of hex digits stand for'),
  scalar('bytes_to_hex', 'S>S', 'Each byte as \\xHH'),
  scalar('atoi', 'SI>I', 'The integer that a text is, else the default'),
  scalar('itoa', 'I>S', 'Decimal text'),
];

export const JSON_FUNCTIONS: readonly FunctionSignature[] = [
  scalar('pluck', 'SS>S', 'Member of a JSON object as text'),
  scalar('pluck_int64', 'SS>I', 'Integer member of a JSON object, else 0'),
  scalar(
    'pluck_float64',
    'SS>F',
    'Member of a JSON object that is written as a fraction or with an exponent, else 0.0',
  ),
  scalar('pluck_array', 'SI>S', 'Element of a JSON array as text'),
  scalar('split', 'SS>S', 'JSON array of the pieces between delimiters'),
  scalar(
    '_script_reference',
    SCRIPT_REFERENCE_ARITIES.map((arity) => `${'S'.repeat(arity)}>S`).join(' '),
    'Link to a script with arguments, as JSON',
    { rules: always('ST_SCRIPT_REFERENCE', ...SCRIPT_REFERENCE_ARITIES) },
  ),
];

export const REGULAR_EXPRESSIONS: readonly FunctionSignature[] = [
  scalar('regex_match', '!SS>B', 'Whether a pattern (RE2 dialect) matches the whole string'),
  scalar('replace', '!SSS>S', 'Each match of a pattern replaced; \\1 is the first group'),
  scalar(
    '_match_regex_rule',
    '!SS>S',
    'Name of the first rule of a JSON object whose pattern matches the whole string',
  ),
];
