import { expect, test } from '@jest/globals';
import { LedgerError } from '../../src/ledger/error.ts';
import type { StoredDelivery } from '../../src/ledger/record.ts';
import type { Delivery } from '../../src/model/outcome.ts';
import { timeNs } from '../../src/model/time.ts';
import { createDeliveryFeed } from '../../src/runtime/delivery-feed.ts';

const stored = (seq: number): StoredDelivery => ({
  seq,
  delivery: {
    uid: 'u',
    start: timeNs(BigInt(seq)),
    end: timeNs(BigInt(seq + 1)),
    batch: seq,
    outcome: 'acknowledged',
    metricPoints: 1,
    spans: 0,
    logs: 0,
    rejected: 0,
    bytes: 1,
    attempts: 1,
    windowDelivered: true,
    windowRepeated: false,
  },
});

test('deliveries that a full disk kept from being noted are handed out once, and noted with the next', async () => {
  const waiting = [stored(1), stored(2)];
  const faults: unknown[] = [];
  let isFull = true;
  const feed = createDeliveryFeed(
    {
      deliveries: (after, most) => Promise.resolve(waiting.filter(({ seq }) => seq > after).slice(0, most)),
      takeDeliveries(seq) {
        if (isFull) return Promise.reject(new LedgerError('StateFull', 'no space is left'));
        waiting.splice(0, waiting.length, ...waiting.filter((one) => one.seq > seq));
        return Promise.resolve();
      },
    },
    (error) => faults.push(error),
  );
  const given: Delivery[] = [];
  const stop = new AbortController();
  for await (const delivery of feed.read(stop.signal)) {
    given.push(delivery);
    if (given.length === 2) {
      waiting.push(stored(3));
      feed.wake();
    }
    // the first page was handed out and could not be noted
    if (given.length === 3) {
      isFull = false;
      stop.abort();
    }
  }
  expect(given.map(({ batch }) => batch)).toEqual([1, 2, 3]);
  expect(faults).toHaveLength(1);
  expect(waiting).toEqual([]);
});
