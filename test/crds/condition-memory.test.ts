import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { hashConditions, packConditions, unpackConditions } from '../../src/crds/condition-memory.ts';
import { conditionOf, mergeConditions } from '../../src/crds/status.ts';

const conditions = mergeConditions(
  [],
  [
    conditionOf('Ready', 'True', 'Scheduled'),
    conditionOf('Complete', 'False', 'NodesMissing', 'no answer from n2; n3'),
  ],
  7,
  '2026-11-26T10:00:00.000Z',
);

test('conditions come back without their messages', () => {
  expect(unpackConditions(packConditions(conditions))).toEqual(conditions.map((one) => ({ ...one, message: '' })));
  expect(unpackConditions('')).toEqual([]);
});

test('the hash changes with each field that somebody may have changed, and not with the order', () => {
  const hash = hashConditions(conditions);
  expect(hashConditions(conditions.toReversed())).toBe(hash);
  expect(hashConditions(conditions.map((one) => ({ ...one, message: `${one.message}!` })))).not.toBe(hash);
  expect(hashConditions(conditions.slice(1))).not.toBe(hash);
  expect(hashConditions(undefined)).toBe(hashConditions([]));
});

test('whatever a status holds, it can be kept', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      hashConditions(value);
      for (const { type, status } of unpackConditions(packConditions(value))) {
        expect(type).not.toBe('');
        expect(['True', 'False', 'Unknown']).toContain(status);
      }
    }),
  );
});
