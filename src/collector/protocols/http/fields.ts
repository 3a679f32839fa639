// The field lines of a head -> fields. Most lines of a head have been met before even where the head has not (only its
// path, date or trace id are new), so lines that repeat are parsed once.
import { Buffer } from 'node:buffer';
import { jsonMember } from './header-json.ts';

/** Texts as latin1: one character a byte. Immutable, shared between heads. */
export interface HeaderField {
  readonly name: string;
  readonly lowerName: string;
  readonly value: string;
  /** `"name":"value"` as in the header JSON. */
  readonly json: string;
}

export interface Fields {
  readonly fields: HeaderField[];
  /** How many there were beyond those. */
  readonly omitted: number;
}

/** Fields beyond this many are left out of the header JSON, and counted there. */
const FIELDS_MAX = 256;
const KNOWN_LINES_MAX = 2048;
const KNOWN_LINE_LENGTH_MAX = 256;
const HINTS = 4096;
const CR = 13;

const knownLines = new Map<string, HeaderField>();
/** What a line met once looked like; one that looks so again is kept. Spares a copy of each unique line. */
const hints = new Int32Array(HINTS);

/** Reads the lines of `text` from `start` to the blank line. Lines that are no field are passed over. */
export function readFields(text: string, start: number): Fields {
  const fields: HeaderField[] = [];
  let omitted = 0;
  for (let at = start; at < text.length;) {
    let end = text.indexOf('\n', at);
    if (end < 0) end = text.length;
    const next = end + 1;
    if (text.charCodeAt(end - 1) === CR) end--;
    if (end <= at) break;
    if (isBlank(text.charCodeAt(at))) {
      const last = fields.pop();
      if (last !== undefined) fields.push(fieldFrom(last.name, `${last.value} ${text.slice(at, end).trim()}`.trim()));
    } else if (fields.length === FIELDS_MAX) {
      omitted++;
    } else {
      const field = fieldAt(text.slice(at, end));
      if (field !== undefined) fields.push(field);
    }
    at = next;
  }
  return { fields, omitted };
}

function fieldAt(line: string): HeaderField | undefined {
  const known = knownLines.get(line);
  if (known !== undefined) return known;
  const colon = line.indexOf(':');
  if (colon < 1) return undefined;
  let valueStart = colon + 1;
  let valueEnd = line.length;
  let nameEnd = colon;
  while (valueStart < valueEnd && isBlank(line.charCodeAt(valueStart))) valueStart++;
  while (valueEnd > valueStart && isBlank(line.charCodeAt(valueEnd - 1))) valueEnd--;
  while (nameEnd > 0 && isBlank(line.charCodeAt(nameEnd - 1))) nameEnd--;
  const field = fieldFrom(line.slice(0, nameEnd), line.slice(valueStart, valueEnd));
  if (line.length <= KNOWN_LINE_LENGTH_MAX && wasMet(line)) {
    if (knownLines.size >= KNOWN_LINES_MAX) knownLines.clear();
    // Own copies: a slice would keep the whole head that it came from.
    const name = copyOf(field.name);
    knownLines.set(copyOf(line), fieldFrom(name, copyOf(field.value)));
  }
  return field;
}

const fieldFrom = (name: string, value: string): HeaderField => ({
  name,
  lowerName: name.toLowerCase(),
  value,
  json: jsonMember(name, value),
});

const copyOf = (text: string): string => Buffer.from(text, 'latin1').toString('latin1');

const isBlank = (code: number): boolean => code === 32 || code === 9;

/** Whether a line that looks like this one was met before. A guess: it is cheap, and being wrong costs a copy. */
function wasMet(line: string): boolean {
  let hint = 0;
  for (let i = 0; i < line.length; i++) hint = (Math.imul(hint, 31) + line.charCodeAt(i)) | 0;
  const index = (hint ^ (hint >>> 15)) & (HINTS - 1);
  const isMet = hints[index] === hint;
  hints[index] = hint;
  return isMet;
}
