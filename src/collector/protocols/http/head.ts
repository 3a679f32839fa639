// The head of an HTTP/1 message (RFC 9112 sections 2-5): bytes -> start line, header JSON, and what tells where the body
// ends and how it is shown. As tolerant as widespread servers are: bare LF, folded lines, lines without a colon.
import { bufferOf, textCell } from '../cell.ts';
import { type HeaderField, readFields } from './fields.ts';
import { headersJson, textOfLatin1 } from './header-json.ts';

/** A head longer than this is given up. Common servers refuse more than 8 to 80 KiB. */
export const HEAD_BYTES_MAX = 64 * 1024;
const METHOD_BYTES_MAX = 32;

/** How a body is shown: its first bytes, inflated, URL-decoded, or a placeholder for what is not text. */
export type BodyKind = 'plain' | 'gzip' | 'form' | 'untyped' | 'binary';

/** Immutable; may be shared by all messages whose heads are the same bytes. */
export interface Head {
  readonly isRequest: boolean;
  /** As sent. Empty for responses, as are `target`; likewise `status` 0 and `reason` empty for requests. */
  readonly method: string;
  readonly target: string;
  readonly status: number;
  readonly reason: string;
  /** HTTP/1.x. */
  readonly minor: number;
  readonly headersJson: string;
  /** -1 where there is none. */
  readonly contentLength: number;
  /** Whether `chunked` is the last transfer coding, or another coding is. */
  readonly coding: 'none' | 'chunked' | 'other';
  readonly body: BodyKind;
  readonly isJson: boolean;
  /** `Expect: 100-continue`: the body may never come. */
  readonly expectsContinue: boolean;
}

const LF = 10;
const CR = 13;

/**
 * Position behind the blank line that ends the head which starts at `from`; -1 if `bytes[from, to)` does not hold all of
 * it. `scanned` bytes of it were looked at before.
 */
export function headEnd(bytes: Uint8Array, from: number, to: number, scanned = 0): number {
  for (let i = from + Math.max(0, scanned - 3); i < to - 1; i++) {
    if (bytes[i] !== LF) continue;
    if (bytes[i + 1] === LF) return i + 2;
    if (bytes[i + 1] === CR && i + 2 < to && bytes[i + 2] === LF) return i + 3;
  }
  return -1;
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const STATUS_LINE = /^HTTP\/1\.(\d) (\d{3})(?: |$)/;
const DIGITS = /^\d{1,15}$/;

/** Methods that are worth one shared string. */
const METHODS = new Map(
  ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'].map((method) => [method, method]),
);

/** Parses the head `bytes[from, to)`, blank line included; undefined if it is no valid head or its framing is contradictory. */
export function parseHead(bytes: Uint8Array, from: number, to: number, isRequest: boolean): Head | undefined {
  const text = bufferOf(bytes, from, to).toString('latin1');
  const lineEnd = text.indexOf('\n');
  const line = text.slice(0, text.charCodeAt(lineEnd - 1) === CR ? lineEnd - 1 : lineEnd);
  const start = isRequest ? requestLine(line) : statusLine(line);
  if (start === undefined) return undefined;
  const { fields, omitted } = readFields(text, lineEnd + 1);
  const framing = readFraming(fields, isRequest);
  if (framing === undefined) return undefined;
  return {
    isRequest,
    method: start.method,
    target: start.target,
    status: start.status,
    reason: start.reason,
    minor: start.minor,
    headersJson: headersJson(fields, omitted),
    contentLength: framing.contentLength,
    coding: framing.coding,
    body: framing.body,
    isJson: framing.isJson,
    expectsContinue: framing.expectsContinue,
  };
}

interface StartLine {
  readonly method: string;
  readonly target: string;
  readonly status: number;
  readonly reason: string;
  readonly minor: number;
}

/** `method SP target SP HTTP/1.x`. A target with spaces in it is taken as sent. */
function requestLine(line: string): StartLine | undefined {
  const space = line.indexOf(' ');
  const targetEnd = line.length - 9;
  if (space < 1 || space > METHOD_BYTES_MAX || targetEnd <= space + 1) return undefined;
  if (!line.startsWith(' HTTP/1.', targetEnd)) return undefined;
  const minor = line.charCodeAt(line.length - 1) - 48;
  if (minor < 0 || minor > 9) return undefined;
  const word = line.slice(0, space);
  const method = METHODS.get(word) ?? (TOKEN.test(word) ? word : undefined);
  if (method === undefined) return undefined;
  return { method, target: textCell(textOfLatin1(line.slice(space + 1, targetEnd))), status: 0, reason: '', minor };
}

function statusLine(line: string): StartLine | undefined {
  const match = STATUS_LINE.exec(line);
  if (match === null) return undefined;
  const status = Number(match[2]);
  if (status < 100) return undefined;
  return { method: '', target: '', status, reason: textCell(textOfLatin1(line.slice(13))), minor: Number(match[1]) };
}

type Framing = Pick<Head, 'contentLength' | 'coding' | 'body' | 'isJson' | 'expectsContinue'>;

/** What the fields say about the body (RFC 9112 6.3); undefined where lengths are invalid or contradict each other. */
function readFraming(fields: readonly HeaderField[], isRequest: boolean): Framing | undefined {
  let contentLength = -1;
  let codings = '';
  let type: string | undefined;
  let encoding: string | undefined;
  let expectsContinue = false;
  for (const { lowerName, value } of fields) {
    switch (lowerName) {
      case 'content-length': {
        const length = readLength(value);
        if (length < 0 || (contentLength >= 0 && length !== contentLength)) return undefined;
        contentLength = length;
        break;
      }
      case 'transfer-encoding':
        codings += `,${value}`;
        break;
      case 'content-type':
        type ??= value.toLowerCase();
        break;
      case 'content-encoding':
        encoding ??= value.toLowerCase();
        break;
      case 'expect':
        expectsContinue ||= value.toLowerCase() === '100-continue';
        break;
      default:
    }
  }
  return {
    contentLength,
    coding: codings === '' ? 'none' : lastCoding(codings),
    body: isRequest ? requestBody(type) : responseBody(type, encoding),
    isJson: type !== undefined && type.includes('json'),
    expectsContinue,
  };
}

/** A length, or several equal ones in a list (RFC 9110 8.6); -1 for anything else. */
function readLength(value: string): number {
  if (DIGITS.test(value)) return Number(value);
  const parts = value.split(',').map((part) => part.trim());
  const first = parts[0] ?? '';
  return DIGITS.test(first) && parts.every((part) => part === first) ? Number(first) : -1;
}

function lastCoding(codings: string): Head['coding'] {
  const last = codings
    .slice(codings.lastIndexOf(',') + 1)
    .trim()
    .toLowerCase();
  if (last === 'chunked') return 'chunked';
  return last === 'identity' || last === '' ? 'none' : 'other';
}

const requestBody = (type: string | undefined): BodyKind =>
  type === 'application/x-www-form-urlencoded' ? 'form' : 'plain';

function responseBody(type: string | undefined, encoding: string | undefined): BodyKind {
  if (type === undefined) return 'untyped';
  if (!type.includes('json') && !type.includes('text/')) return 'binary';
  return encoding === 'gzip' || encoding === 'x-gzip' ? 'gzip' : 'plain';
}
