import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createLossLedger } from '../../src/collector/loss.ts';
import { timeNs } from '../../src/model/time.ts';

const BASE = 1_800_000_000;
const at = (second: number) => timeNs(BigInt(Math.round((BASE + second) * 1000)) * 1_000_000n);

test('a window is told at least what fell into it, and exactly so on whole seconds', () => {
  const events = fc.array(fc.tuple(fc.double({ min: 0, max: 100, noNaN: true }), fc.integer({ min: 1, max: 9 })));
  fc.assert(
    fc.property(events, fc.nat(100), fc.integer({ min: 1, max: 50 }), (list, start, length) => {
      const ledger = createLossLedger();
      for (const [second, amount] of list) ledger.add('t', 'exchangesLost', at(second), amount);
      const truth = list
        .filter(([second]) => at(second) >= at(start) && at(second) < at(start + length))
        .reduce((sum, [, amount]) => sum + amount, 0);
      expect(ledger.window(['t', 't'], at(start), at(start + length)).exchangesLost).toBe(truth);
      expect(ledger.window(['t'], at(start + 0.5), at(start + length)).exchangesLost).toBeLessThanOrEqual(truth);
    }),
  );
});

test('the last hour is kept, and what is older does not come back as something new', () => {
  const ledger = createLossLedger();
  ledger.add('t', 'eventsDropped', at(0), 5);
  ledger.add('t', 'eventsDropped', at(3599), 1);
  expect(ledger.window(['t'], at(0), at(3600)).eventsDropped).toBe(6);
  ledger.add('t', 'eventsDropped', at(3600), 1);
  ledger.add('t', 'eventsDropped', at(0), 100);
  expect(ledger.window(['t'], at(0), at(3601)).eventsDropped).toBe(2);
});

test('what happened somewhere between two times counts in every second of them', () => {
  const ledger = createLossLedger();
  ledger.addBetween('t', 'eventsDropped', at(1.5), at(3.5), 4);
  expect([0, 1, 2, 3, 4].map((second) => ledger.window(['t'], at(second), at(second + 1)).eventsDropped)).toEqual([
    0, 4, 4, 4, 0,
  ]);
  expect(ledger.window(['other'], at(0), at(10)).eventsDropped).toBe(0);
});

test('blind intervals are told to the windows that they touch; very many become coarser, not fewer', () => {
  const ledger = createLossLedger();
  for (let i = 0; i < 2000; i += 1)
    ledger.addBlind({ source: 'probe', start: at(2 * i), end: at(2 * i + 1), reason: 'ProbeNotRunning' });
  expect(ledger.window([], at(3998), at(3999)).blind).toHaveLength(1);
  expect(ledger.window([], at(3999), at(4000)).blind).toEqual([]);
  expect(ledger.window([], at(0), at(1)).blind).toHaveLength(1);
  expect(ledger.window([], at(0), at(5000)).blind).toHaveLength(1024);
});
