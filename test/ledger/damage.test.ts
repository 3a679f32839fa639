// A state folder that cannot be used says why, and stays as it is.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync, closeSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openLedger } from '../../src/ledger/ledger.ts';
import { at, batch, temporaryFolder, window } from './samples.ts';

let folder: ReturnType<typeof temporaryFolder>;
const file = (): string => join(folder.path, 'ledger.db');

beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

test('a second opening is refused while the first lasts, also from another process, and works after it', async () => {
  const first = await openLedger(folder.path);
  await expect(openLedger(folder.path)).rejects.toMatchObject({ name: 'LedgerError', code: 'StateLocked' });
  const other = await runChild('open', folder.path);
  expect(other.stdout).toContain('StateLocked');
  await first.close();
  await (await openLedger(folder.path)).close();
});

test('a file that is no ledger is refused and left alone', async () => {
  writeFileSync(file(), 'these are not the pages you are looking for'.repeat(200));
  const before = readFileSync(file());
  await expect(openLedger(folder.path)).rejects.toMatchObject({ code: 'StateCorrupt' });
  expect(readFileSync(file()).equals(before)).toBe(true);
});

test('overwritten pages are found at opening', async () => {
  const ledger = await openLedger(folder.path);
  for (let i = 0; i < 200; i += 1) await ledger.commit(window('a', i, i + 1, [batch(2000)]));
  await ledger.close();
  const handle = openSync(file(), 'r+');
  const size = statSync(file()).size;
  for (let offset = 8192; offset < size; offset += 4096) writeSync(handle, Buffer.alloc(64, 0xa5), 0, 64, offset);
  closeSync(handle);
  await expect(openLedger(folder.path)).rejects.toMatchObject({ code: 'StateCorrupt' });
});

test('a ledger of a newer version is refused and left alone', async () => {
  await (await openLedger(folder.path)).close();
  const database = new DatabaseSync(file());
  database.exec('PRAGMA user_version = 99');
  database.close();
  await expect(openLedger(folder.path)).rejects.toMatchObject({ code: 'StateTooNew' });
});

test('a full file refuses the commit whole, and the ledger goes on with what it has', async () => {
  const ledger = await openLedger(folder.path, { pagesMax: 60 });
  let kept = 0;
  let refusal: unknown;
  for (; refusal === undefined && kept < 100; kept += 1) {
    try {
      await ledger.commit(window('a', kept, kept + 1, [batch(5000), batch(5000)]));
    } catch (error) {
      refusal = error;
      break;
    }
  }
  expect(refusal).toMatchObject({ code: 'StateFull' });
  expect(kept).toBeGreaterThan(5);
  expect((await ledger.committed(['a'])).get('a')).toEqual([{ start: at(0), end: at(kept), delivered: false }]);
  expect(await ledger.pending('plugin', 0, 1000, 1e9)).toHaveLength(2 * kept);
  const sent = await ledger.pending('plugin', 0, 8, 1e9);
  await ledger.finish(sent.map(({ id }) => ({ id, verdict: { outcome: 'acknowledged', rejected: 0, attempts: 1 } })));
  expect((await ledger.commit(window('a', kept, kept + 1, [batch(5000), batch(5000)]))).status).toBe('committed');
  await ledger.close();
  await (await openLedger(folder.path)).close();
});

test('a folder that may not be written is refused with its path', async () => {
  const closed = join(folder.path, 'closed');
  mkdirSync(closed);
  chmodSync(closed, 0o555);
  chmodSync(folder.path, 0o755);
  if (process.getuid?.() === 0) {
    // Root may write anywhere, so the question is asked as somebody else.
    const { stdout } = await runChild('open', join(closed, 'state'), 65_534);
    expect(stdout).toMatch(/StateReadOnly.*closed\/state/s);
    return;
  }
  await expect(openLedger(join(closed, 'state'))).rejects.toMatchObject({ code: 'StateReadOnly' });
});

test('a ledger whose file may not be written is refused', async () => {
  await (await openLedger(folder.path)).close();
  chmodSync(file(), 0o444);
  chmodSync(folder.path, 0o777);
  const { stdout } = await runChild('open', folder.path, process.getuid?.() === 0 ? 65_534 : undefined);
  expect(stdout).toContain('StateReadOnly');
});

interface ChildResult {
  readonly stdout: string;
}

async function runChild(mode: string, path: string, uid?: number): Promise<ChildResult> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'child.ts'), mode, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {},
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  let stdout = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  await once(child, 'close');
  return { stdout };
}
