// Run by tests as a process of its own. `open DIR`: prints the error code of opening. `commit DIR UID`: commits and
// finishes windows for ever, printing each after the ledger said that it is done; meant to be killed.
import { openLedger } from '../../src/ledger/ledger.ts';
import { LedgerError } from '../../src/ledger/error.ts';
import { BASE, batch, window } from './samples.ts';

const [, , mode = '', path = ''] = process.argv;

try {
  const ledger = await openLedger(path, { windowsKept: 4 });
  if (mode === 'commit') await commitForEver(ledger);
  await ledger.close();
  process.stdout.write('opened\n');
} catch (error) {
  process.stdout.write(error instanceof LedgerError ? `${error.code} ${error.message}\n` : String(error));
}

async function commitForEver(ledger: Awaited<ReturnType<typeof openLedger>>): Promise<void> {
  const intervals = (await ledger.committed(['a'])).get('a') ?? [];
  let next = Number((intervals.at(-1)?.end ?? BASE) - BASE);
  for (;;) {
    const size = 200 + ((next * 7919) % 20_000);
    const work = [ledger.commit(window('a', next, next + 1, [batch(size), batch(17)]))];
    const [waiting] = await ledger.pending('plugin', 0, 1, 1e6);
    if (waiting !== undefined && next % 3 !== 0) {
      await ledger.finish([{ id: waiting.id, verdict: { outcome: 'acknowledged', rejected: 0, attempts: 1 } }]);
      process.stdout.write(`f ${waiting.id}\n`);
    }
    const [result] = await Promise.all(work);
    if (result?.status !== 'committed') throw new Error(`window ${next}: ${result?.status}`);
    process.stdout.write(`c ${next}\n`);
    next += 1;
  }
}
