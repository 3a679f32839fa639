// What the ledger said is done is there after `kill -9`, whenever it comes: each window once, no batch of it missing.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from '@jest/globals';
import { createStore, DEFAULT_LIMITS } from '../../src/ledger/store.ts';
import { at, temporaryFolder } from './samples.ts';

/** A small generator with a printed seed, so that a failure can be had again. */
const seed = Number(process.env['SLUICE_TEST_SEED'] ?? Date.now() % 1_000_000);
let state = seed;
const random = (below: number): number => {
  state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
  return state % below;
};

test(`no window is lost or double over kills in the middle of commits (seed ${seed})`, async () => {
  const folder = temporaryFolder();
  let committed = 0;
  const finished = new Set<number>();
  for (let round = 0; round < 8; round += 1) {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'child.ts'), 'commit', folder.path], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {},
    });
    const killAfter = 1 + random(60);
    let lines = 0;
    const exited = once(child, 'close');
    for await (const line of createInterface(child.stdout)) {
      const [kind, value] = line.split(' ');
      if (kind === 'c') committed = Math.max(committed, Number(value) + 1);
      else if (kind === 'f') finished.add(Number(value));
      else throw new Error(line);
      lines += 1;
      // A few lines later than the signal there is always another commit under way.
      if (lines === killAfter) setTimeout(() => child.kill('SIGKILL'), random(4));
    }
    await exited;

    const store = createStore(folder.path, { ...DEFAULT_LIMITS, windowsKept: 4 });
    const intervals = store.committed(['a']).get('a') ?? [];
    // Contiguous from the start, so nothing is missing; at least what was reported, at most one that was not.
    expect(intervals[0]?.start).toBe(at(0));
    intervals.slice(1).forEach((interval, i) => expect(interval.start).toBe(intervals[i]?.end));
    const end = Number((intervals.at(-1)?.end ?? at(0)) - at(0));
    expect(end - committed).toBeGreaterThanOrEqual(0);
    expect(end - committed).toBeLessThanOrEqual(1);
    committed = end;
    // Two batches a window: each is either waiting, or final with exactly one delivery.
    const waiting = store.pending('plugin', 0, 1e6, 1e12);
    const final = store.deliveries(0, 1e6);
    expect(waiting.length + final.length).toBe(2 * committed);
    const ids = new Set(waiting.map(({ id }) => id));
    expect([...finished].filter((id) => ids.has(id))).toEqual([]);
    store.close();
    const database = new DatabaseSync(join(folder.path, 'ledger.db'));
    expect(database.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
    database.close();
  }
  expect(committed).toBeGreaterThan(30);
  folder.remove();
});
