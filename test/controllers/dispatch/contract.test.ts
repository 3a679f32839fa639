// What the dispatcher builds on, held against the real runtime on a real ledger (memory-runtime.ts says the same of itself).
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { COUNT_BY_PATH, CONSOLE, s, startHarness, type Harness } from '../../runtime/harness.ts';

describe('a runtime, as the dispatcher relies on it', () => {
  let harness: Harness;
  let scriptHash = '';
  beforeEach(async () => {
    harness = await startHarness();
    await harness.runtime.putDestination('plugin', '1', CONSOLE);
    scriptHash = await harness.script(COUNT_BY_PATH);
    for (const node of harness.nodes) node.advance(s(100_000));
  });
  afterEach(() => harness.close());

  test('a run without a script asks: unknown where nothing is committed, and nothing is run', async () => {
    expect(await harness.run({ scriptHash: '' })).toEqual({ status: 'unknown', what: 'script' });
    expect(harness.nodes[0]?.queries).toBe(0);
    expect((await harness.ledger.committed(['uid'])).get('uid')).toEqual([]);
  });

  test('it waits in line behind the run whose answer was lost, and says what became of it', async () => {
    const go = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    harness.nodes[0]?.onQuery(async () => {
      begun.resolve();
      await go.promise;
    });
    void harness.run({ scriptHash });
    await begun.promise;
    let answered = false;
    const asked = harness.run({ scriptHash: '' }).finally(() => (answered = true));
    // a call of another script is answered meanwhile
    await harness.run({ scriptHash: '', uid: 'another' });
    expect(answered).toBe(false);
    go.resolve();
    expect(await asked).toMatchObject({ status: 'committed' });
    expect(harness.nodes[0]?.queries).toBe(1);
  });

  test('and names what is committed where that is another window', async () => {
    await harness.run({ scriptHash, start: s(10), end: s(20) });
    expect(await harness.run({ scriptHash: '', start: s(10), end: s(30) })).toMatchObject({
      status: 'overlap',
      committed: [{ start: s(10), end: s(20) }],
    });
  });

  test('there each by itself, so that each can be asked for, while the ledger joins them', async () => {
    await harness.run({ scriptHash, start: s(10), end: s(20) });
    const later = await harness.run({ scriptHash, start: s(20), end: s(40) });
    expect((await harness.runtime.ledger(['uid'])).get('uid')).toEqual([{ start: s(10), end: s(40), delivered: true }]);
    expect(await harness.run({ scriptHash: '', start: s(10), end: s(40) })).toMatchObject({
      status: 'overlap',
      committed: [
        { start: s(10), end: s(20) },
        { start: s(20), end: s(40) },
      ],
    });
    const again = await harness.run({ scriptHash: '', start: s(20), end: s(40) });
    expect(again).toEqual({ ...later, delivered: true });
  });

  test('R29: a higher epoch ends a run that is not committed, and refuses later ones of before', async () => {
    const begun = Promise.withResolvers<void>();
    harness.nodes[0]?.onQuery(async (signal) => {
      begun.resolve();
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    });
    const old = harness.run({ scriptHash, epoch: 1 });
    await begun.promise;
    expect(await harness.runtime.hello(2)).toMatchObject({ highestEpoch: 2 });
    expect(await old).toMatchObject({ status: 'failed', outcome: { error: { code: 'SUPERSEDED' } } });
    expect(await harness.run({ scriptHash, epoch: 1 })).toMatchObject({ outcome: { error: { code: 'SUPERSEDED' } } });
    expect((await harness.ledger.committed(['uid'])).get('uid')).toEqual([]);
  });

  test('a hello of epoch 0 asks and raises nothing', async () => {
    await harness.runtime.hello(3);
    expect(await harness.runtime.hello(0)).toMatchObject({ highestEpoch: 3 });
  });

  test('its incarnation names the file before the last dot, and a new one for each opening', async () => {
    const { incarnation } = await harness.runtime.hello(1);
    await harness.restart();
    const { incarnation: next } = await harness.runtime.hello(1);
    expect(next).not.toBe(incarnation);
    expect(next.slice(0, next.lastIndexOf('.'))).toBe(incarnation.slice(0, incarnation.lastIndexOf('.')));
  });
});
