// Keeps credentials out of text that came from outside (a server's error message may quote what it was sent).
import type { Destination } from '../model/destination.ts';

/** Status fields and logs show no more of a foreign message. */
export const MESSAGE_BYTES_MAX = 512;

/** Shorter values occur in ordinary text; they are masked only where they stand alone. */
const WORD_LENGTH = 4;

const percentLower = (text: string): string => text.replace(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase());

/** The value as it may turn up in a message. */
function formsOf(value: string): string[] {
  const bytes = Buffer.from(value, 'utf8');
  const base64 = bytes.toString('base64');
  const encoded = encodeURIComponent(value.toWellFormed());
  return [
    value,
    base64,
    base64.replace(/=+$/, ''),
    bytes.toString('base64url'),
    encoded,
    percentLower(encoded),
    encoded.replaceAll('%20', '+'),
    JSON.stringify(value).slice(1, -1),
  ];
}

/** All header values, and of `Authorization: Scheme credentials` also the credentials and what Basic encodes. */
function secretsOf(destination: Destination): string[] {
  const secrets: string[] = [];
  for (const { name, value } of destination.headers) {
    secrets.push(value);
    const scheme = name.toLowerCase() === 'authorization' ? /^(\S+)\s+(\S.*)$/.exec(value) : null;
    if (scheme === null) continue;
    const [, kind = '', credentials = ''] = scheme;
    secrets.push(credentials);
    if (kind.toLowerCase() !== 'basic') continue;
    const pair = Buffer.from(credentials, 'base64').toString('utf8');
    secrets.push(pair, pair.slice(pair.indexOf(':') + 1));
  }
  return secrets.filter((secret) => secret !== '');
}

const escapeRegExp = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/-]/g, String.raw`\$&`);

/** At most `bytesMax` bytes of UTF-8, cut between characters. */
export function cutText(text: string, bytesMax: number): string {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length <= bytesMax) return text;
  let end = bytesMax - 3;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return `${bytes.toString('utf8', 0, end)}…`;
}

/** A function that replaces the destination's secrets by `***`, makes the text one printable line and cuts it. */
export function messageCleaner(destination: Destination): (text: string) => string {
  const forms = [...new Set(secretsOf(destination).flatMap(formsOf))].filter((form) => form !== '');
  // Longest first: a value must not hide in pieces behind a shorter one that it contains.
  forms.sort((a, b) => b.length - a.length);
  const patterns = forms.map((form) =>
    form.length >= WORD_LENGTH ? escapeRegExp(form) : `(?<![\\w.-])${escapeRegExp(form)}(?![\\w.-])`,
  );
  const secrets = patterns.length === 0 ? undefined : new RegExp(patterns.join('|'), 'g');
  return (text) => {
    const masked = secrets === undefined ? text : text.replace(secrets, '***');
    return cutText(masked.replace(/\p{Cc}+/gu, ' '), MESSAGE_BYTES_MAX);
  };
}
