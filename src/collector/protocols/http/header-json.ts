// Header fields as the JSON object of `req_headers` and `resp_headers`: sorted by name ignoring case, names as sent,
// repeated names as repeated keys in their order. Always valid JSON within the column's limit: what does not fit is cut
// inside its string, or left out and counted in a last member.
import { Buffer, isUtf8 } from 'node:buffer';
import { TRUNCATED, textCell } from '../cell.ts';

interface Field {
  readonly name: string;
  readonly lowerName: string;
  readonly value: string;
  readonly json: string;
}

/** Limit of a header cell in bytes. */
export const HEADERS_BYTES_MAX = 8192;

const NEEDS_CARE = /["\\]|[^ -~]/;

/** Text of bytes that were read as latin1: UTF-8 where they are valid UTF-8, else latin1 (RFC 9110 5.5, obs-text). */
export function textOfLatin1(text: string): string {
  if (!NEEDS_CARE.test(text)) return text;
  const bytes = Buffer.from(text, 'latin1');
  return isUtf8(bytes) ? bytes.toString() : text;
}

/** One field as it stands in the object; texts as latin1. */
export const jsonMember = (name: string, value: string): string =>
  NEEDS_CARE.test(name) || NEEDS_CARE.test(value)
    ? `${JSON.stringify(textOfLatin1(name))}:${JSON.stringify(textOfLatin1(value))}`
    : `"${name}":"${value}"`;

/** Longest values are cut first, to each of these in turn, before whole fields are left out. */
const VALUE_LIMITS = [2048, 1024, 512, 256, 64];
const OMITTED_BYTES = 64;

/** The JSON object of `fields` (texts as latin1), of which `omitted` more were not kept. Sorts `fields` in place. */
export function headersJson(fields: Field[], omitted = 0): string {
  sortByName(fields);
  let json = '{';
  for (const field of fields) json += json.length === 1 ? field.json : `,${field.json}`;
  if (omitted === 0 && fits(json)) return `${json}}`;
  return shortened(fields, omitted);
}

const fits = (json: string): boolean => {
  if (json.length * 3 < HEADERS_BYTES_MAX) return true;
  return Buffer.byteLength(json) < HEADERS_BYTES_MAX;
};

function shortened(fields: readonly Field[], omitted: number): string {
  const shown = (limit: number): string[] =>
    fields.map(({ name, value }) => {
      const key = JSON.stringify(textCell(textOfLatin1(name), 256));
      return `${key}:${JSON.stringify(textCell(textOfLatin1(value), limit))}`;
    });
  let members: string[] = [];
  for (const limit of VALUE_LIMITS) {
    members = shown(limit);
    if (omitted === 0 && fits(`{${members.join(',')}`)) return `{${members.join(',')}}`;
  }
  let bytes = 2 + OMITTED_BYTES;
  let count = 0;
  for (const member of members) {
    bytes += Buffer.byteLength(member) + 1;
    if (bytes > HEADERS_BYTES_MAX) break;
    count++;
  }
  const left = members.length - count + omitted;
  const last = `${JSON.stringify(TRUNCATED)}:"${left} more"`;
  return `{${[...members.slice(0, count), last].join(',')}}`;
}

/** Insertion sort: stable, and quickest for the dozen fields of a head that mostly is short. */
function sortByName(fields: Field[]): void {
  if (fields.length > 32) {
    fields.sort((a, b) => (a.lowerName < b.lowerName ? -1 : a.lowerName > b.lowerName ? 1 : 0));
    return;
  }
  for (const [i, field] of fields.entries()) {
    let j = i;
    for (
      let before = fields[j - 1];
      before !== undefined && before.lowerName > field.lowerName;
      before = fields[j - 1]
    ) {
      fields[j--] = before;
    }
    fields[j] = field;
  }
}
