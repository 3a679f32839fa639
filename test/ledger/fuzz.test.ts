// A file with any bytes changed is opened or refused; it never crashes, hangs or throws anything but a LedgerError.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { LedgerError } from '../../src/ledger/error.ts';
import { createStore, DEFAULT_LIMITS } from '../../src/ledger/store.ts';
import { at, batch, temporaryFolder, window } from './samples.ts';

let folder: ReturnType<typeof temporaryFolder>;
let sound: Buffer;
const file = (): string => join(folder.path, 'ledger.db');

beforeAll(() => {
  folder = temporaryFolder();
  const store = createStore(folder.path, { ...DEFAULT_LIMITS, windowsKept: 2 });
  for (let i = 0; i < 12; i += 1) store.commit(window(`script-${i % 3}`, i, i + 1, [batch(300), batch(30)]));
  for (const { id } of store.pending('plugin', 0, 14, 1e9)) {
    store.finish([{ id, verdict: { outcome: 'acknowledged', rejected: 0, attempts: 1 } }]);
  }
  store.close();
  sound = readFileSync(file());
});

afterAll(() => folder.remove());

function use(): void {
  const store = createStore(folder.path, DEFAULT_LIMITS);
  try {
    store.committed(['script-0', 'script-1', 'script-2']);
    for (let i = 0; i < 12; i += 1) store.findWindow(`script-${i % 3}`, at(i), at(i + 1));
    store.commit(window('script-0', 100, 101));
    for (const { id } of store.pending('plugin', 0, 100, 1e9)) {
      store.finish([{ id, verdict: { outcome: 'refused', rejected: 0, attempts: 1 } }]);
    }
    store.deliveries(0, 100);
    store.dropDestination('plugin', 'gone');
  } finally {
    store.close();
  }
}

test('changed bytes give a LedgerError or an answer', () => {
  const change = fc.record({ at: fc.nat(sound.length - 1), byte: fc.nat(255) });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 20 }), (changes) => {
      const broken = Buffer.from(sound);
      for (const { at, byte } of changes) broken[at] = byte;
      writeFileSync(file(), broken);
      try {
        use();
      } catch (error) {
        expect(error).toBeInstanceOf(LedgerError);
      }
    }),
    { numRuns: 120 },
  );
});

test('a file that was cut off gives a LedgerError or an answer', () => {
  fc.assert(
    fc.property(fc.nat(sound.length), (length) => {
      writeFileSync(file(), sound.subarray(0, length));
      try {
        use();
      } catch (error) {
        expect(error).toBeInstanceOf(LedgerError);
      }
    }),
    { numRuns: 30 },
  );
});
