import { afterEach, expect, test } from '@jest/globals';
import { startDelivery, type DeliveryLoop, type DeliveryWorld } from '../../../src/exporters/delivery/deliver.ts';
import type { EncodedRequest, Sender, SendOutcome } from '../../../src/exporters/sender.ts';
import { encodeOtlp } from '../../../src/exporters/otlp/encode.ts';
import { decodeOtlp } from '../../../src/exporters/otlp/json.ts';
import { countItems } from '../../../src/exporters/otlp/split.ts';
import { metric } from '../telemetry.ts';
import { destination } from '../otlp/destination.ts';
import { memorySpool } from './memory-spool.ts';

const SENT: SendOutcome = { status: 'sent', rejected: 0 };
const DOWN: SendOutcome = { status: 'retry', code: 'UNAVAILABLE', message: 'down' };
const REFUSED: SendOutcome = { status: 'refused', code: 'INVALID_ARGUMENT', message: 'bad' };

const open: DeliveryLoop[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((loop) => loop.stop()));
});

const request = (name: string, points = 1): EncodedRequest => {
  const [first] = encodeOtlp([metric(points, { name })]).requests;
  if (first === undefined) throw new Error('no request');
  return first;
};

const nameOf = ({ signal, bytes }: EncodedRequest): string =>
  /"name":"(m[^"]*)"/.exec(JSON.stringify(decodeOtlp(signal, bytes)))?.[1] ?? '';

/** A clock that stands still. */
async function sleepUntilAborted(_ms: number, signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}

/** A clock that jumps to the end of each finite wait. */
function jumpingClock() {
  let nowMs = 1_000_000;
  const waits: number[] = [];
  return {
    waits,
    nowMs: () => nowMs,
    random: () => 0.5,
    sleep: async (ms: number, signal: AbortSignal): Promise<void> => {
      if (signal.aborted) return;
      if (Number.isFinite(ms)) {
        waits.push(ms);
        nowMs += ms;
        return;
      }
      await sleepUntilAborted(ms, signal);
    },
  };
}

/** Loops (one a name, begun when first asked for) whose senders answer by `answer(endpoint, request, n)`; all that was sent is in `sent`. */
function delivering(
  answer: (
    endpoint: string,
    request: EncodedRequest,
    n: number,
    signal: AbortSignal,
  ) => SendOutcome | Promise<SendOutcome>,
  options: Partial<DeliveryWorld> = {},
) {
  const spool = memorySpool();
  const clock = jumpingClock();
  const sent: { endpoint: string; name: string; items: number }[] = [];
  const faults: unknown[] = [];
  const world: DeliveryWorld = {
    spool,
    ...clock,
    open: ({ endpoint }): Sender => ({
      send: async (one, signal) => {
        sent.push({ endpoint, name: nameOf(one), items: countItems(one.signal, one.bytes) });
        return answer(endpoint, one, sent.length - 1, signal);
      },
      close: () => {},
    }),
    onFault: (_name, error) => faults.push(error),
    ...options,
  };
  const loops = new Map<string, DeliveryLoop>();
  const loop = (name: string): DeliveryLoop => {
    let started = loops.get(name);
    if (started === undefined) {
      started = startDelivery(name, world);
      loops.set(name, started);
      open.push(started);
    }
    return started;
  };
  return { spool, clock, sent, faults, loop };
}

test('batches go out in the order of their commit and leave the spool with a verdict', async () => {
  const { spool, sent, loop } = delivering(() => SENT);
  for (const name of ['m1', 'm2', 'm3']) spool.commit('a', request(name));
  loop('a').put(destination());
  await spool.empty('a');
  expect(sent.map(({ name }) => name)).toEqual(['m1', 'm2', 'm3']);
  expect(spool.verdicts).toEqual([1, 2, 3].map((id) => ({ id, outcome: 'acknowledged', rejected: 0, attempts: 1 })));
  expect(loop('a').state()).toMatchObject({ consecutiveFailures: 0, lastError: undefined, attempts: 3 });
});

test('a batch that fails is tried again after a growing wait, and holds back the ones behind it', async () => {
  const { spool, sent, clock, loop } = delivering((_endpoint, _request, n) => (n < 3 ? DOWN : SENT));
  spool.commit('a', request('m1'));
  spool.commit('a', request('m2'));
  loop('a').put(destination());
  await spool.empty('a');
  expect(sent.map(({ name }) => name)).toEqual(['m1', 'm1', 'm1', 'm1', 'm2']);
  expect(clock.waits).toEqual([1000, 2000, 4000]);
  expect(spool.verdicts[0]).toEqual({ id: 1, outcome: 'acknowledged', rejected: 0, attempts: 4 });
  expect(loop('a').state()).toMatchObject({
    consecutiveFailures: 0,
    lastError: { code: 'UNAVAILABLE', message: 'down' },
  });
});

test('a batch whose attempt had no answer is repeated once it is taken; one that was surely not taken is not', async () => {
  const cut: SendOutcome = { status: 'retry', code: 'UNAVAILABLE', message: 'cut off', isUnanswered: true };
  // m1: without an answer, then turned away; m2: turned away; m3: without an answer, then refused for good
  const answers = [cut, DOWN, SENT, DOWN, SENT, cut, REFUSED];
  const { spool, loop } = delivering((_endpoint, _request, n) => answers[n] ?? SENT);
  for (const name of ['m1', 'm2', 'm3']) spool.commit('a', request(name));
  loop('a').put(destination());
  await spool.empty('a');
  expect(spool.verdicts.map(({ outcome, isRepeated, attempts }) => [outcome, isRepeated, attempts])).toEqual([
    ['acknowledged', true, 3],
    ['acknowledged', undefined, 2],
    ['refused', undefined, 2],
  ]);
});

test('the spool knows of an attempt before it is made, and of its failure where it was surely not taken', async () => {
  const marks: (boolean | undefined)[] = [];
  const answers = [DOWN, { ...DOWN, isUnanswered: true } as const];
  const { spool, loop } = delivering((_endpoint, _request, n) => {
    marks.push(spool.pending('a')[0]?.isUnanswered);
    return answers[n] ?? SENT;
  });
  spool.commit('a', request('m1'));
  const told: boolean[] = [];
  const attempted = spool.attempted.bind(spool);
  spool.attempted = async (id, attempts, isUnanswered) => {
    told.push(isUnanswered);
    await attempted(id, attempts, isUnanswered);
  };
  loop('a').put(destination());
  await spool.empty('a');
  expect(marks).toEqual([true, true, true]);
  expect(told).toEqual([true, false, true, true]);
});

test('ended in the middle of an attempt, the spool keeps what is not known of it', async () => {
  for (const isUnanswered of [true, false]) {
    const begun = Promise.withResolvers<void>();
    const { spool, loop } = delivering(async (_endpoint, _request, _n, signal) => {
      begun.resolve();
      await sleepUntilAborted(0, signal);
      const cancelled = { status: 'retry', code: 'CANCELLED', message: 'cancelled' } as const;
      return isUnanswered ? { ...cancelled, isUnanswered } : cancelled;
    });
    spool.commit('a', request('m1'));
    loop('a').put(destination());
    await begun.promise;
    await loop('a').stop();
    expect(spool.pending('a')).toMatchObject([{ attempts: 1, isUnanswered }]);
  }
});

test('a success starts the waits from the beginning', async () => {
  const { spool, clock, loop } = delivering((_endpoint, _request, n) => (n === 2 || n > 3 ? SENT : DOWN));
  spool.commit('a', request('m1'));
  spool.commit('a', request('m2'));
  loop('a').put(destination());
  await spool.empty('a');
  expect(clock.waits).toEqual([1000, 2000, 1000]);
});

test('what is refused for good is gone, counted, and does not stop the next', async () => {
  const { spool, sent, clock, loop } = delivering((_endpoint, _request, n) => (n === 0 ? REFUSED : SENT));
  spool.commit('a', request('m1', 5));
  spool.commit('a', request('m2'));
  loop('a').put(destination());
  await spool.empty('a');
  expect(sent).toHaveLength(2);
  expect(clock.waits).toEqual([]);
  expect(spool.verdicts[0]).toEqual({
    id: 1,
    outcome: 'refused',
    rejected: 0,
    attempts: 1,
    code: 'INVALID_ARGUMENT',
    message: 'bad',
  });
});

test('a partial success is final and its rejected items are counted', async () => {
  const { spool, loop } = delivering(() => ({ status: 'sent', rejected: 2, message: 'too old' }));
  spool.commit('a', request('m1', 5));
  loop('a').put(destination());
  await spool.empty('a');
  expect(spool.verdicts).toEqual([{ id: 1, outcome: 'acknowledged', rejected: 2, attempts: 1, message: 'too old' }]);
});

test('what is too large goes out in halves, each once, also when a half fails in between', async () => {
  let failures = 1;
  const { spool, sent, loop } = delivering((_endpoint, one) => {
    if (countItems('metrics', one.bytes) > 3) return { status: 'split', code: 'TOO_LARGE', message: 'larger than max' };
    return failures-- > 0 ? DOWN : SENT;
  });
  spool.commit('a', request('m1', 10));
  loop('a').put(destination());
  await spool.empty('a');
  expect(sent.map(({ items }) => items)).toEqual([10, 5, 2, 2, 3, 5, 2, 3]);
  expect(spool.verdicts).toEqual([{ id: 1, outcome: 'acknowledged', rejected: 0, attempts: 8 }]);
});

test('one item that is too large alone is refused, the others arrive', async () => {
  let isFirst = true;
  const { spool, loop } = delivering((_endpoint, one) => {
    const items = countItems('metrics', one.bytes);
    if (items === 1 && isFirst) {
      isFirst = false;
      return { status: 'split', code: 'TOO_LARGE', message: 'larger than max' };
    }
    return items > 1 ? { status: 'split', code: 'TOO_LARGE', message: 'larger than max' } : SENT;
  });
  spool.commit('a', request('m1', 4));
  loop('a').put(destination());
  await spool.empty('a');
  expect(spool.verdicts[0]).toMatchObject({ outcome: 'acknowledged', rejected: 1, message: 'larger than max' });
});

test('a destination that has no room for anything does not get a storm of halves', async () => {
  const { spool, sent, loop } = delivering(() => ({
    status: 'split',
    code: 'RESOURCE_EXHAUSTED',
    message: 'quota',
  }));
  spool.commit('a', request('m1', 8192));
  loop('a').put(destination());
  await spool.empty('a');
  // The whole, one half, one quarter that is small enough for anyone; then it is given up.
  expect(sent.map(({ items }) => items)).toEqual([8192, 4096, 2048]);
  expect(spool.verdicts[0]).toMatchObject({ outcome: 'refused', message: 'quota' });
});

test('a destination that hangs delays no other', async () => {
  const { spool, loop } = delivering((endpoint, _request, _n, signal) =>
    endpoint === 'slow:1' ? new Promise((resolve) => signal.addEventListener('abort', () => resolve(DOWN))) : SENT,
  );
  spool.commit('slow', request('m1'));
  spool.commit('fast', request('m2'));
  loop('slow').put(destination({ endpoint: 'slow:1' }));
  loop('fast').put(destination({ endpoint: 'fast:1' }));
  await spool.empty('fast');
  spool.commit('fast', request('m3'));
  loop('fast').wake();
  await spool.empty('fast');
  expect(spool.pending('slow')).toHaveLength(1);
  expect(loop('slow').state()).toMatchObject({ activity: 'sending', oldest: { id: 1 } });
});

test('without a destination nothing is sent; when it is put, everything goes out', async () => {
  const { spool, sent, loop } = delivering(() => SENT);
  spool.commit('a', request('m1'));
  loop('a').wake();
  await Promise.resolve();
  expect(loop('a').state().activity).toBe('no-destination');
  expect(sent).toEqual([]);
  loop('a').put(destination());
  await spool.empty('a');
  expect(sent).toHaveLength(1);
});

test('new credentials are tried at once, not after the wait of the old ones', async () => {
  const waiting = Promise.withResolvers<void>();
  const clock = jumpingClock();
  const { spool, sent, loop } = delivering((endpoint) => (endpoint === 'old:1' ? DOWN : SENT), {
    sleep: async (ms, signal) => {
      if (Number.isFinite(ms) && !signal.aborted) waiting.resolve();
      await sleepUntilAborted(ms, signal);
    },
    nowMs: clock.nowMs,
  });
  spool.commit('a', request('m1'));
  loop('a').put(destination({ endpoint: 'old:1' }));
  await waiting.promise;
  expect(loop('a').state()).toMatchObject({
    activity: 'backing-off',
    nextAttemptAtMs: clock.nowMs() + 1000,
    consecutiveFailures: 1,
  });
  loop('a').wake();
  loop('a').put(destination({ endpoint: 'new:1' }));
  await spool.empty('a');
  expect(sent.map(({ endpoint }) => endpoint)).toEqual(['old:1', 'new:1']);
});

test('a batch that was dropped to make room is not missed', async () => {
  const { spool, sent, loop } = delivering((_endpoint, one) => {
    if (nameOf(one) !== 'm1') return SENT;
    spool.drop(1);
    return DOWN;
  });
  spool.commit('a', request('m1'));
  spool.commit('a', request('m2'));
  loop('a').put(destination());
  await spool.empty('a');
  expect(sent.map(({ name }) => name)).toEqual(['m1', 'm2']);
  expect(spool.verdicts.map(({ id }) => id)).toEqual([2]);
});

test('a spool that fails to record a verdict does not make the batch go out twice', async () => {
  const memory = memorySpool();
  let failures = 2;
  const { sent, faults, loop } = delivering(() => SENT, {
    spool: {
      ...memory,
      finished: (id, verdict) =>
        failures-- > 0 ? Promise.reject(new Error('disk full')) : memory.finished(id, verdict),
    },
  });
  memory.commit('a', request('m1'));
  loop('a').put(destination());
  await memory.empty('a');
  expect(sent).toHaveLength(1);
  expect(faults).toHaveLength(2);
  expect(memory.verdicts).toEqual([{ id: 1, outcome: 'acknowledged', rejected: 0, attempts: 1 }]);
});

test('a destination that is to go is drained until its spool is empty, its grace is over or everything stops', async () => {
  const patient = delivering(() => SENT, { sleep: sleepUntilAborted });
  patient.spool.commit('a', request('m1'));
  patient.loop('a').put(destination());
  expect(await patient.loop('a').drained(30_000)).toBe('drained');
  expect(patient.spool.verdicts).toHaveLength(1);
  expect(await patient.loop('a').drained(30_000)).toBe('drained');

  const hang = (_endpoint: string, _request: EncodedRequest, _n: number, signal: AbortSignal): Promise<SendOutcome> =>
    new Promise((resolve) => signal.addEventListener('abort', () => resolve(DOWN)));
  const expiring = delivering(hang);
  expiring.spool.commit('a', request('m1'));
  expiring.loop('a').put(destination());
  expect(await expiring.loop('a').drained(30_000)).toBe('expired');

  const stopping = delivering(hang, { sleep: sleepUntilAborted });
  stopping.spool.commit('a', request('m1'));
  stopping.loop('a').put(destination());
  const end = stopping.loop('a').drained(30_000);
  await stopping.loop('a').stop();
  expect(await end).toBe('stopped');
  expect(stopping.spool.pending('a')).toHaveLength(1);
});

test('stopping cancels what is under way and leaves it in the spool', async () => {
  const began = Promise.withResolvers<void>();
  const { spool, loop } = delivering((_endpoint, _request, _n, signal) => {
    began.resolve();
    return new Promise((resolve) =>
      signal.addEventListener('abort', () => resolve({ status: 'retry', code: 'CANCELLED', message: '' })),
    );
  });
  spool.commit('a', request('m1'));
  loop('a').put(destination());
  await began.promise;
  await loop('a').stop();
  expect(spool.pending('a')).toHaveLength(1);
  expect(spool.verdicts).toEqual([]);
});
