import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { undeclaredFields, withoutFields } from '../../src/controllers/undeclared-fields.ts';

const REFUSAL = `failed to create typed patch object (a/s; sluice.dev/v1alpha1, Kind=ExportScript): errors:
  .status.nextWindow: field not declared in schema
  .status.totals.repeated: field not declared in schema
  .status.history[0].lost: field not declared in schema
  .status.conditions[type="Ready"].mood: field not declared in schema
  .spec.x: field not declared in schema`;

test('T14: names what a definition lacks, one or many', () => {
  expect(undeclaredFields('failed (p): .status.queue: field not declared in schema')).toEqual([['queue']]);
  expect(undeclaredFields(REFUSAL)).toEqual([
    ['nextWindow'],
    ['totals', 'repeated'],
    ['history', '*', 'lost'],
    ['conditions', '*', 'mood'],
  ]);
  expect(undeclaredFields('the server is busy')).toEqual([]);
});

test('leaves that out, everywhere in a list, and nothing else', () => {
  const status = {
    nextWindow: { start: 'a' },
    totals: { rows: 1, repeated: 2 },
    history: [{ end: 'b', lost: 1 }, { end: 'c' }],
    conditions: [],
  };
  expect(withoutFields(status, undeclaredFields(REFUSAL))).toEqual({
    totals: { rows: 1 },
    history: [{ end: 'b' }, { end: 'c' }],
    conditions: [],
  });
  expect(status.totals).toEqual({ rows: 1, repeated: 2 });
});

test('whatever a server says, the status stays one', () => {
  fc.assert(
    fc.property(fc.string(), fc.array(fc.array(fc.string())), fc.object(), (message, paths, status) => {
      expect(undeclaredFields(message)).toEqual([]);
      expect(typeof withoutFields(status, paths)).toBe('object');
    }),
  );
});
