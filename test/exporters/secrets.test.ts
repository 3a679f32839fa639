import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { cutText, MESSAGE_BYTES_MAX, messageCleaner } from '../../src/exporters/secrets.ts';
import { destination } from './otlp/destination.ts';

const cleaner = (...headers: [string, string][]) =>
  messageCleaner(destination({ headers: headers.map(([name, value]) => ({ name, value })) }));
const base64 = (text: string): string => Buffer.from(text).toString('base64');

test.each([
  ['the value', 'tok/en+1=', 'got tok/en+1=!', 'got ***!'],
  ['its base64', 'tok/en+1=', `got ${base64('tok/en+1=')}`, 'got ***'],
  ['its base64 with padding', 'abcd', `got ${base64('abcd')};`, 'got ***;'],
  ['its base64 without padding', 'abcd', `got ${base64('abcd').replaceAll('=', '')};`, 'got ***;'],
  ['its URL encoding', 'tok/en+1=', 'got tok%2Fen%2B1%3D', 'got ***'],
  ['its URL encoding in lower case', 'tok/en+1=', 'got tok%2fen%2b1%3d', 'got ***'],
  ['its JSON form', 'to"ken', String.raw`got "to\"ken"`, 'got "***"'],
  ['a short value that stands alone', 'ab', 'got ab, not abc', 'got ***, not abc'],
  ['more than one occurrence', 'token', 'token and token', '*** and ***'],
])('%s of a header is masked', (_what, value, text, expected) => {
  expect(cleaner(['api-key', value])(text)).toBe(expected);
});

test('of an authorization header the credentials alone, and what Basic encodes, are masked too', () => {
  expect(cleaner(['authorization', 'Bearer abc.def'])('token abc.def rejected')).toBe('token *** rejected');
  const basic = cleaner(['Authorization', `Basic ${base64('user:hunter2')}`]);
  expect(basic('hunter2')).toBe('***');
  expect(basic('user:hunter2')).toBe('***');
  expect(basic(base64('user:hunter2'))).toBe('***');
});

test('a value that contains another is masked as a whole', () => {
  expect(cleaner(['a', 'abcd'], ['b', 'abcd-efgh'])('x abcd-efgh y')).toBe('x *** y');
});

test('no long header value survives, whatever it is and wherever it stands', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 5, maxLength: 40 }), fc.string(), fc.string(), (secret, before, after) => {
      fc.pre(
        !'***…'.includes(secret) && !/^[*\s]+$/.test(secret) && !before.includes(secret) && !after.includes(secret),
      );
      const cleaned = cleaner(['api-key', secret])(before + secret + after);
      expect(cleaned.includes(secret) && !`${before}***${after}`.includes(secret)).toBe(false);
    }),
  );
});

test('a message is one line of at most 512 bytes, cut between characters', () => {
  const clean = cleaner();
  expect(clean('two\r\nlines\u0000')).toBe('two lines ');
  const cut = clean('€'.repeat(1000));
  expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(MESSAGE_BYTES_MAX);
  expect(cut).toMatch(/^€+…$/);
  expect(cutText('short', 512)).toBe('short');
});
