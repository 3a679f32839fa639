import { mkdtemp, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as pathOf } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createRecorder, recorded } from '../../../src/collector/sources/recorder.ts';
import { RECORDING_HEADER_BYTES, openRecording, recordingHeader } from '../../../src/collector/sources/recording.ts';
import type { FrameSource } from '../../../src/collector/sources/source.ts';
import { MS, START, createBench, drained, join, open, opening, printed, received, sent } from '../stream.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(pathOf(tmpdir(), 'recording-'));
});
afterEach(() => rm(folder, { recursive: true }));

const stream = (exchanges: number): Uint8Array => {
  const parts = [opening(), open()];
  for (let i = 0; i < exchanges; i += 1) {
    const at = START + (10 + i) * MS;
    parts.push(received('Qab\n', 4 * i, at), sent('Acd\n', 4 * i, at + MS / 2), drained(at + MS / 2 + 1));
  }
  return join(...parts);
};
const play = async (path: string) => {
  const bench = createBench();
  await openRecording(path).run(bench.intake.take, new AbortController().signal);
  return bench;
};
const fromBytes = (bytes: Uint8Array): FrameSource => ({
  send: () => undefined,
  blind: () => [],
  run: async (onFrames) => onFrames(bytes, 0),
});
const record = async (bytes: Uint8Array, bytesMax = 1e9): Promise<string> => {
  const path = pathOf(folder, 'a.slrec');
  const recorder = await createRecorder(path, bytesMax);
  await recorded(fromBytes(bytes), recorder).run(() => undefined, new AbortController().signal);
  await recorder.finish();
  return path;
};

test('what was recorded plays as it was, twice, larger than any buffer', async () => {
  const bytes = stream(5000);
  const direct = createBench();
  direct.intake.take(bytes, 0);
  const path = await record(bytes);
  expect(bytes.length).toBeGreaterThan(512 * 1024);
  expect((await readFile(path)).subarray(RECORDING_HEADER_BYTES).equals(bytes)).toBe(true);
  const [first, second] = [await play(path), await play(path)];
  expect(first.rows).toHaveLength(direct.rows.length);
  expect(printed(first.rows)).toBe(printed(direct.rows));
  expect(printed(second.rows)).toBe(printed(direct.rows));
});

test('a recording has its name only when it is whole', async () => {
  const recorder = await createRecorder(pathOf(folder, 'a.slrec'), 1e9);
  recorder.write(stream(1));
  expect(await readdir(folder)).toEqual(['a.slrec.part']);
  await recorder.finish();
  expect(await readdir(folder)).toEqual(['a.slrec']);
});

test('a recording that is given up leaves nothing behind', async () => {
  const recorder = await createRecorder(pathOf(folder, 'a.slrec'), 1e9);
  recorder.write(stream(1));
  await recorder.discard();
  expect(await readdir(folder)).toEqual([]);
});

test('a recording keeps what it was given, though the buffer is used again at once', async () => {
  const recorder = await createRecorder(pathOf(folder, 'a.slrec'), 1e9);
  const buffer = drained(7);
  recorder.write(buffer);
  buffer.fill(0);
  await recorder.finish();
  expect((await readFile(pathOf(folder, 'a.slrec'))).subarray(RECORDING_HEADER_BYTES).equals(drained(7))).toBe(true);
});

test('a recording ends at its bound, between frames, and says so', async () => {
  const recorder = await createRecorder(pathOf(folder, 'a.slrec'), 1000);
  const run = join(...Array.from({ length: 30 }, (_, i) => drained(i)));
  expect([recorder.write(run), recorder.write(run), recorder.write(drained(1))]).toEqual([true, true, true]);
  expect([recorder.write(run), recorder.write(drained(1))]).toEqual([false, false]);
  expect(recorder.cutBy).toBe('size');
  await recorder.finish();
  const bench = await play(pathOf(folder, 'a.slrec'));
  expect(bench.intake.metrics.frames).toBe(61);
});

describe('a file', () => {
  const path = (): string => pathOf(folder, 'a.slrec');

  test('that is cut says at which byte its last frame begins', async () => {
    await record(stream(2));
    const { length } = await readFile(path());
    await truncate(path(), length - 3);
    await expect(play(path())).rejects.toThrow(
      `${path()}: the stream ends inside a frame, after 13 of its bytes at byte ${length - 16}`,
    );
  });

  test('that is damaged says at which byte', async () => {
    await writeFile(path(), join(recordingHeader(), drained(1), new Uint8Array(16)));
    await expect(play(path())).rejects.toThrow(
      `${path()}: frame length 0 is not a multiple of 8 in 16..65536 at byte 32`,
    );
  });

  test.each([
    ['is empty', new Uint8Array(0)],
    ['is something else', new TextEncoder().encode('{"this":"is JSON and no recording"}')],
  ])('that %s is refused', async (_, bytes) => {
    await writeFile(path(), bytes);
    await expect(play(path())).rejects.toThrow(`${path()} is no recording: it does not begin with SLUICREC`);
  });

  test('of a later version is refused by its number', async () => {
    const header = recordingHeader();
    header[8] = 2;
    await writeFile(path(), header);
    await expect(play(path())).rejects.toThrow('is a recording of version 2; this program reads 1');
  });

  test('that is not there is named', async () => {
    await expect(play(path())).rejects.toThrow(`cannot open the recording ${path()}`);
  });
});
