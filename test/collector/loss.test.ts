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

test('what is older than an hour is kept by the minute, for as long as a window may be', () => {
  const ledger = createLossLedger();
  ledger.add('t', 'eventsDropped', at(0), 5);
  ledger.add('t', 'exchangesLost', at(59), 2);
  ledger.add('t', 'eventsDropped', at(3599), 1);
  ledger.add('t', 'eventsDropped', at(3600), 1);
  ledger.add('t', 'exchangesLost', at(3700), 1);
  expect(ledger.window(['t'], at(0), at(3601))).toMatchObject({ eventsDropped: 7, exchangesLost: 2 });
  // a second of that minute is told all of it
  expect(ledger.window(['t'], at(30), at(31)).eventsDropped).toBe(5);
  ledger.add('t', 'eventsDropped', at(1), 100);
  expect(ledger.window(['t'], at(0), at(10)).eventsDropped).toBe(105);
  ledger.add('t', 'eventsDropped', at(86_400), 1);
  expect(ledger.window(['t'], at(0), at(86_400)).eventsDropped).toBe(107);
  expect(ledger.window(['t'], at(3600), at(86_401)).eventsDropped).toBe(2);
});

test('a day of loss in every second is told whole, in bounded room', () => {
  const ledger = createLossLedger();
  for (let second = 0; second < 100_000; second += 1) ledger.add('t', 'eventsDropped', at(second), 1);
  expect(ledger.window(['t'], at(10_000), at(96_400)).eventsDropped).toBeGreaterThanOrEqual(86_400);
  expect(ledger.window(['t'], at(10_000), at(96_400)).eventsDropped).toBeLessThan(86_400 + 120);
  expect(ledger.window(['t'], at(0), at(60)).eventsDropped).toBe(0);
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
