// Does a run of bytes begin an HTTP/1 message? Asked for the first messages of an undecided connection, for the beginning
// of a head that is not complete yet, and at message starts after bytes were lost.
import { Buffer } from 'node:buffer';

/** 'yes': the whole start line is there and is one. 'maybe': nothing speaks against it so far. */
export type StartGuess = 'yes' | 'maybe' | 'no';

const METHOD_BYTES_MAX = 32;
const LF = 10;
const CR = 13;
const SP = 32;

const STATUS_PREFIX = Buffer.from('HTTP/1.');

const isDigit = (byte: number): boolean => byte >= 48 && byte <= 57;

/** tchar of RFC 9110 5.6.2. */
const TCHAR = Uint8Array.from({ length: 256 }, (_, byte) =>
  /[!#$%&'*+.^_`|~0-9A-Za-z-]/.test(String.fromCharCode(byte)) ? 1 : 0,
);

/** Whether `bytes[from, to)` begins with a status line `HTTP/1.x NNN`. */
export function guessResponse(bytes: Uint8Array, from: number, to: number): StartGuess {
  for (let i = 0; i < 12; i++) {
    if (from + i >= to) return 'maybe';
    const byte = bytes[from + i] ?? 0;
    const fits = i < 7 ? byte === STATUS_PREFIX[i] : i === 8 ? byte === SP : isDigit(byte);
    if (!fits) return 'no';
  }
  if (from + 12 >= to) return 'maybe';
  const after = bytes[from + 12];
  return after === SP || after === CR || after === LF ? 'yes' : 'no';
}

/** Whether `bytes[from, to)` begins with a request line `METHOD target HTTP/1.x`. */
export function guessRequest(bytes: Uint8Array, from: number, to: number): StartGuess {
  let at = from;
  const methodMax = Math.min(to, from + METHOD_BYTES_MAX + 1);
  while (at < methodMax && TCHAR[bytes[at] ?? 0] === 1) at++;
  if (at === to && at - from <= METHOD_BYTES_MAX) return 'maybe';
  if (at === from || bytes[at] !== SP) return 'no';
  const lineEnd = bytes.subarray(at, to).indexOf(LF);
  if (lineEnd < 0) return bytes[at + 1] === SP ? 'no' : 'maybe';
  let end = at + lineEnd;
  if (bytes[end - 1] === CR) end--;
  const version = end - 8;
  if (version < at + 3 || bytes[version - 1] !== SP || !isDigit(bytes[end - 1] ?? 0)) return 'no';
  for (let i = 0; i < 7; i++) if (bytes[version + i] !== STATUS_PREFIX[i]) return 'no';
  return 'yes';
}

/**
 * Methods that are taken for the beginning of a request where it is not known that one begins here. None is the end of
 * another, or the end of a split request line would be taken for a request (`ET` of `GET` is none, nor may `PATCH` be
 * found in `PROPPATCH`).
 */
const KNOWN_METHODS =
  'GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH PROPFIND REPORT SEARCH MKCOL COPY MOVE LOCK PURGE'
    .split(' ')
    .map((method) => Buffer.from(`${method} `));

/** As `guessRequest`, but of well-known methods only. */
export function guessKnownRequest(bytes: Uint8Array, from: number, to: number): StartGuess {
  const isKnown = KNOWN_METHODS.some((method) => {
    const end = Math.min(method.length, to - from);
    for (let i = 0; i < end; i++) if (bytes[from + i] !== method[i]) return false;
    return true;
  });
  return isKnown ? guessRequest(bytes, from, to) : 'no';
}

/**
 * For connections of which nothing is known: any whole request line will do; an unfinished one must have a well-known
 * method and the beginning of a target (`/`, `*`, a scheme or an authority), since other text protocols begin with words
 * too.
 */
export function opensWithRequest(bytes: Uint8Array): boolean {
  const guess = guessRequest(bytes, 0, bytes.length);
  if (guess !== 'maybe') return guess === 'yes';
  const target = bytes[bytes.indexOf(SP) + 1];
  if (target === undefined || !bytes.includes(SP) || guessKnownRequest(bytes, 0, bytes.length) === 'no') return false;
  const letter = target | 0x20;
  return target === 0x2f || target === 0x2a || target === 0x5b || isDigit(target) || (letter >= 97 && letter <= 122);
}
