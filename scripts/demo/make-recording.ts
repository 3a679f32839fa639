// Makes the recording that the demo falls back to: the shop under light load, as the probe saw it. Only the shop's own
// frames are kept, and nothing that names the machine. Usage (root): node scripts/demo/make-recording.ts
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { FRAME } from '../../src/collector/frames/frame.ts';
import { RECORDING_HEADER_BYTES } from '../../src/collector/sources/recording.ts';
import { start, stopAll } from './processes.ts';
import { msUntilBoundary, WINDOW_MS } from './windows.ts';

const SECONDS = 52;
const HOSTNAME_OFFSET = 16 + 40 + 64;
const RELEASE_OFFSET = 16 + 40;
/** Frames that begin with a tgid after the header. */
const OF_A_PROCESS: readonly number[] = [
  FRAME.PROCESS,
  FRAME.PROCESS_EXIT,
  FRAME.PROCESS_SAMPLE,
  FRAME.CONN_OPEN,
  FRAME.CONN_DATA,
  FRAME.CONN_CLOSE,
  FRAME.CONN_COUNTS,
];
const OF_THE_MACHINE: readonly number[] = [FRAME.LOCAL_NETWORK, FRAME.IGNORE_TGID];

/** The recording without other processes, addresses and names of the machine. */
function cleaned(recording: Uint8Array, tgid: number): Uint8Array {
  const view = new DataView(recording.buffer, recording.byteOffset, recording.byteLength);
  const kept: Uint8Array[] = [recording.subarray(0, RECORDING_HEADER_BYTES)];
  for (let at = RECORDING_HEADER_BYTES; at < recording.length; at += view.getUint32(at, true)) {
    const [length, type] = [view.getUint32(at, true), view.getUint16(at + 4, true)];
    if (OF_THE_MACHINE.includes(type)) continue;
    if (OF_A_PROCESS.includes(type) && view.getUint32(at + 16, true) !== tgid) continue;
    const frame = recording.slice(at, at + length);
    if (type === FRAME.HELLO) {
      frame.fill(0, RELEASE_OFFSET, HOSTNAME_OFFSET + 64);
      frame.set(new TextEncoder().encode('recorded'), HOSTNAME_OFFSET);
      frame.set(new TextEncoder().encode('recorded'), RELEASE_OFFSET);
    }
    kept.push(frame);
  }
  return Buffer.concat(kept);
}

const folder = mkdtempSync(join(tmpdir(), 'shop-'));
// plain JavaScript, so that any node of the system can be the shop, under a name that is no path of this checkout
for (const name of ['shop', 'windows']) {
  const source = stripTypeScriptTypes(readFileSync(`scripts/demo/${name}.ts`, 'utf8'));
  writeFileSync(join(folder, `${name}.mjs`), source.replaceAll("'./windows.ts'", "'./windows.mjs'"));
}
const counted: [number, number][] = [];
try {
  const port = await new Promise<number>((resolve) => {
    start('sh', ['-c', `cd ${folder} && exec node shop.mjs`], (line) => {
      const said = JSON.parse(line) as { port?: number; end?: number; counted?: number };
      if (said.port !== undefined) resolve(said.port);
      if (said.end !== undefined) counted.push([said.end - WINDOW_MS, said.counted ?? 0]);
    });
  });
  const pid = Number(
    readFileSync('/proc/self/task/' + process.pid + '/children', 'utf8')
      .trim()
      .split(' ')[0],
  );
  await new Promise((resolve) =>
    setTimeout(resolve, msUntilBoundary() - 3000 + (msUntilBoundary() < 3000 ? WINDOW_MS : 0)),
  );
  const file = join(folder, 'traffic.slrec');
  const errors: string[] = [];
  const recorder = start(
    'bin/sluice',
    ['record', file, '--duration', `${SECONDS}s`, '--pid', String(pid)],
    () => undefined,
    (line) => errors.push(line),
  );
  start(process.execPath, ['scripts/demo/shopper.ts', String(port), '2', '40'], () => undefined);
  const status = await recorder.ended;
  if (status !== 0) throw new Error(`sluice record ended with ${status}: ${errors.join('\n')}`);
  const whole = cleaned(readFileSync(file), pid);
  writeFileSync('scripts/demo/traffic.slrec.gz', gzipSync(whole, { level: 9 }));
  writeFileSync('scripts/demo/traffic.json', `${JSON.stringify(counted)}\n`);
  process.stdout.write(`${whole.length} bytes, windows ${JSON.stringify(counted)}\n${errors.join('\n')}\n`);
} finally {
  await stopAll();
  rmSync(folder, { recursive: true, force: true });
}
