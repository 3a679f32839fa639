// The page for users and the rules are the same.
import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { parseIdentityRules } from '../../../src/collector/identity/rules.ts';
import { packUpid } from '../../../src/model/upid.ts';

const page = readFileSync('docs/identity.md', 'utf8');
const rules = parseIdentityRules(/```json\n([\s\S]*?)```/.exec(page)?.[1] ?? '', 'docs/identity.md');
const facts = {
  upid: packUpid(1, 4242, 889911n),
  pid: 4242,
  comm: '',
  exe: '',
  cgroup: '',
  cmdline: '',
  ports: new Set<number>(),
};

test('the rules that docs/identity.md shows are read, and fit what they say', () => {
  expect(rules).toHaveLength(3);
  const fitting = (more: Partial<typeof facts>): number =>
    rules.findIndex((rule) => rule.matches({ ...facts, ...more }));
  expect(fitting({ exe: '/usr/sbin/nginx', ports: new Set([80, 8080]) })).toBe(0);
  expect(fitting({ exe: '/usr/sbin/nginx', ports: new Set([80]), pid: 1, upid: packUpid(1, 1, 1n) })).toBe(-1);
  expect(fitting({ cmdline: 'node /srv/cart.js --port 1' })).toBe(1);
  expect(fitting({})).toBe(2);
});

test('docs/identity.md names every key', () => {
  let message = '';
  try {
    parseIdentityRules('{"upid":"1:1:1","?":""}', 'f');
  } catch (error) {
    message = String(error);
  }
  for (const key of message.replace(/^.*known are /, '').split(', ')) expect(page).toContain(key);
});
