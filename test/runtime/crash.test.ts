// The promise end to end: whenever the process is killed, each window reaches the receiver, with the right number.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { expect, test } from '@jest/globals';
import { startReceiver } from '../../src/exporters/otlp/receiver.ts';
import { temporaryFolder } from '../ledger/samples.ts';
import { s } from './harness.ts';

const seed = Number(process.env['SLUICE_TEST_SEED'] ?? Date.now() % 1_000_000);
let state = seed;
const random = (below: number): number => {
  state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
  return state % below;
};

test(`no window is lost over kills of the whole process, and each that arrives twice is counted (seed ${seed})`, async () => {
  const folder = temporaryFolder();
  const receiver = await startReceiver({ grpc: '127.0.0.1:0' });
  /** Points by their time, in the order of arrival. */
  const points: { readonly time: bigint; readonly value: number }[] = [];
  /** Called as a request arrives, before its answer. */
  let onArrival = (): void => undefined;
  receiver.onRequest(({ json }) => {
    onArrival();
    for (const [, time = '', value = ''] of JSON.stringify(json).matchAll(/"timeUnixNano":"(\d+)","asInt":"(\d+)"/g)) {
      points.push({ time: BigInt(time), value: Number(value) });
    }
  });
  /** Windows by their start: what a killed process said and nobody took note of, the next one says again. */
  const repeated = new Map<bigint, bigint>();
  const listen = (output: Readable, onLine: (line: string) => void): void => {
    createInterface(output).on('line', (line) => {
      const [what, from = '', to = ''] = line.split(' ');
      if (what === 'repeated') repeated.set(BigInt(from), BigInt(to));
      onLine(line);
    });
  };
  const began = Date.now();
  const kills = 8;
  const windows = 100;
  const args = [join(import.meta.dirname, 'crash-child.ts'), folder.path, String(receiver.ports.grpc), String(began)];
  const start = (until: number) =>
    spawn(process.execPath, [...args, String(until)], { stdio: ['ignore', 'pipe', 'inherit'], env: {} });
  for (let i = 0; i < kills; i += 1) {
    const child = start(1_000_000);
    const ended = once(child, 'close');
    let left = 1 + random(8);
    const count = (): void => {
      left -= 1;
      if (left === 0) child.kill('SIGKILL');
    };
    const isKilledByCommits = i % 2 === 0;
    onArrival = () => undefined;
    listen(child.stdout, (line) => {
      // Killed some commits after its start, so that every run gets something done.
      if (line.startsWith('committed') && isKilledByCommits) count();
      // Or between a request and its answer: what it held arrives again. Not by what is left of the process before it.
      if (!isKilledByCommits) onArrival = count;
    });
    const [code, signal] = (await ended) as [number | null, string | null];
    expect([code, signal]).toEqual([null, 'SIGKILL']);
  }
  const last = start(windows);
  onArrival = () => undefined;
  listen(last.stdout, () => undefined);
  expect(await once(last, 'close')).toEqual([0, null]);
  await receiver.close();
  folder.remove();

  const times = [...new Set(points.map(({ time }) => time))];
  // In order of first arrival each window follows the one before: nothing is missing, nothing is mixed up.
  times.slice(1).forEach((time, i) => expect(time - (times[i] ?? 0n)).toBe(1_000_000_000n));
  expect(times.at(-1)).toBeGreaterThanOrEqual(s(windows - 1));
  expect(times.length).toBeGreaterThan(kills);
  expect([...new Set(points.map(({ value }) => value))]).toEqual([10]);
  // Sent twice only where the answer was lost with the process, and then counted.
  const twice = points.filter(({ time }, i) => points.findIndex((one) => one.time === time) < i);
  expect(twice.length).toBeGreaterThanOrEqual(kills / 2);
  expect(twice.length).toBeLessThanOrEqual(kills);
  const isCounted = (time: bigint): boolean => [...repeated].some(([from, end]) => from <= time && time <= end);
  expect(twice.filter(({ time }) => !isCounted(time))).toEqual([]);
  expect(repeated.size).toBeLessThanOrEqual(kills);
});
