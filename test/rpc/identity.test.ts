import { X509Certificate } from 'node:crypto';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { identityOf, parseIdentity, urisOf } from '../../src/rpc/identity.ts';
import { createAuthority } from './certificates.ts';

const OURS = 'spiffe://sluice/ns/sluice-system/sa/sluice-operator';

test('X13: an identity is one URI of our form, in whatever company', () => {
  const ca = createAuthority();
  const identity = (uris: readonly string[], dns: readonly string[] = []) => {
    const { certificate } = ca.leaf({ uris, dns });
    return identityOf({ subjectaltname: new X509Certificate(certificate).subjectAltName ?? '' })?.uri;
  };
  expect(identity([OURS])).toBe(OURS);
  expect(identity([OURS], ['a.example', 'b.example'])).toBe(OURS);
  expect(identity([])).toBeUndefined();
  expect(identity([OURS, OURS])).toBeUndefined();
  expect(identity(['https://example.com'])).toBeUndefined();
  // a name that tries to be a list of names
  expect(identity([], [`a, URI:${OURS}, b`])).toBeUndefined();
  expect(identity([], [`a", URI:${OURS}, DNS:"b`])).toBeUndefined();
  expect(identity([`x, URI:${OURS}`])).toBeUndefined();
});

test.each([
  'spiffe://sluice/ns//sa/x',
  'spiffe://sluice/ns/A/sa/x',
  'spiffe://sluice/ns/-a/sa/x',
  'spiffe://sluice/ns/a/',
  'spiffe://sluice/ns/a',
  'spiffe://evil/ns/a/sa/x',
  `${OURS}\nx`,
  `${OURS}?q`,
  ` ${OURS}`,
])('%j is nobody', (uri) => {
  expect(parseIdentity(uri)).toBeUndefined();
});

test('quoted parts of a subjectAltName never become URIs', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 40 }), (name) => {
      expect(urisOf(`DNS:${JSON.stringify(`${name}, URI:${OURS}, c`)}`)).toEqual([]);
    }),
  );
});
