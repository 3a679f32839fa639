import { expect, test } from '@jest/globals';
import { createScripts, scriptHashOf } from '../../src/runtime/scripts.ts';

const compiled = (scriptHash: string) => ({ scriptHash, outputs: [], diagnostics: [] });

test('the hash depends on text and arguments, not on their order', () => {
  const hash = scriptHashOf({ text: 'a', args: { x: '1', y: '2' } });
  expect(scriptHashOf({ text: 'a', args: { y: '2', x: '1' } })).toBe(hash);
  expect(scriptHashOf({ text: 'a', args: { x: '2', y: '1' } })).not.toBe(hash);
  expect(scriptHashOf({ text: 'b', args: { x: '1', y: '2' } })).not.toBe(hash);
});

test('the scripts that were used least recently make room, never the newest', () => {
  const scripts = createScripts(10);
  for (const hash of ['a', 'b']) scripts.keep({ text: '12345', args: {} }, compiled(hash));
  expect(scripts.find('a')).toBeDefined();
  scripts.keep({ text: '12345', args: {} }, compiled('c'));
  expect(['a', 'b', 'c'].map((hash) => scripts.find(hash) !== undefined)).toEqual([true, false, true]);
  scripts.keep({ text: '12345678901', args: {} }, compiled('d'));
  expect(['a', 'c', 'd'].map((hash) => scripts.find(hash) !== undefined)).toEqual([false, false, true]);
});
