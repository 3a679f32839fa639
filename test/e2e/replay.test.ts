// The whole line without rights: a recording replayed at its own pace through `sluice local`, and queried at once by
// `sluice run`. What the recording holds is known exactly.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { recordingHeader } from '../../src/collector/sources/recording.ts';
import { startReceiver, type Receiver } from '../../src/exporters/otlp/receiver.ts';
import {
  clock,
  drained,
  id,
  join as bytes,
  MS,
  opening,
  open,
  received,
  SECOND,
  sent,
  START,
} from '../collector/stream.ts';
import { countManifest, pluginManifest, ROOT, scratch, startLocal, until, type Local } from './harness.ts';
import { countsOf } from './received.ts';

const SECONDS = 3;
/** The replay may begin up to ten seconds in the past, and the schedule begins now: nothing happens that long. */
const QUIET_SECONDS = 11;
const PER_SECOND = 20;

/** One keep-alive connection, 20 requests a second, a clock pair a second, drained every 100 ms. */
function traffic(): Uint8Array {
  const connection = id();
  const parts = [recordingHeader(), opening(), open(connection)];
  let [sentBytes, receivedBytes] = [0, 0];
  for (let i = 0; i < SECONDS * PER_SECOND; i++) {
    const at = START + QUIET_SECONDS * SECOND + i * (SECOND / PER_SECOND);
    const request = `GET /item/${i % 2} HTTP/1.1\r\nHost: a\r\n\r\n`;
    const response = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok';
    parts.push(received(request, receivedBytes, at, connection), sent(response, sentBytes, at + 3 * MS, connection));
    receivedBytes += request.length;
    sentBytes += response.length;
    if (i % 2 === 1) parts.push(drained(at + 10 * MS));
    if (i % PER_SECOND === 0) parts.push(clock(at));
  }
  const end = START + (QUIET_SECONDS + SECONDS + 2) * SECOND;
  parts.push(clock(end), drained(end));
  return bytes(...parts);
}

describe('a recording', () => {
  const place = scratch();
  const file = join(place.dir, 'traffic.slrec');
  let receiver: Receiver;
  let local: Local | undefined;
  const requests: object[] = [];

  beforeAll(async () => {
    writeFileSync(file, traffic());
    receiver = await startReceiver({ grpc: '127.0.0.1:0' });
    receiver.onRequest(({ json }) => void requests.push(json));
  });
  afterAll(async () => {
    await local?.stop();
    await receiver.close();
    place.remove();
  });

  test('gives the same rows each time it is queried', () => {
    const script = place.write('all.pxl', "import px\npx.display(px.DataFrame('http_events'))\n");
    const run = () =>
      spawnSync(join(ROOT, 'bin', 'sluice'), ['run', script, '--from', file, '--format', 'ndjson'], {
        encoding: 'utf8',
      });
    const [first, second] = [run(), run()];
    expect(first.stderr).toBe('');
    expect(first.stdout.trim().split('\n')).toHaveLength(SECONDS * PER_SECOND);
    expect(second.stdout).toBe(first.stdout);
    expect(JSON.parse(first.stdout.split('\n')[0] ?? '')).toMatchObject({
      req_path: '/item/0',
      resp_status: 200,
      latency: 3_000_000,
    });
  });

  test('is delivered window by window, all of it, with nothing declared lost', async () => {
    place.write('manifests/plugin.yaml', pluginManifest('backend.example:4317'));
    place.write('manifests/count.yaml', countManifest('1s'));
    // other manifests run on
    place.write('manifests/broken.yaml', countManifest('1s', 'broken').replace("ctx['service']", "ctx['servic']"));
    place.write('manifests/wrong.yaml', countManifest('1s', 'wrong').replace('window: 1s', 'windw: 1s'));
    local = startLocal({
      manifests: join(place.dir, 'manifests'),
      state: join(place.dir, 'state'),
      connectTo: { 'backend.example:4317': `127.0.0.1:${receiver.ports.grpc ?? 0}` },
      args: ['--from', file],
    });
    const since = (await local.capturing()).getTime();
    await until(
      'the last window is delivered',
      () => Date.parse(local?.status('requests')?.deliveredUntil ?? '') >= since + (QUIET_SECONDS + SECONDS + 1) * 1000,
    );
    const counts = countsOf(requests, 'requests', 'host/nginx');
    expect([...counts]).toEqual([
      ['/item/0 200', (SECONDS * PER_SECOND) / 2],
      ['/item/1 200', (SECONDS * PER_SECOND) / 2],
    ]);
    expect(local.status('requests')?.totals.lost).toBe(0);
    expect(local.status('broken')?.conditions).toContainEqual(
      expect.objectContaining({ type: 'Compiled', status: 'False', message: expect.stringMatching(/^4:\d+ .*servic/) }),
    );
    const problems = local.events.findLast(({ event }) => event === 'problems')?.problems;
    expect(problems).toEqual([
      expect.objectContaining({ line: 7, path: 'spec.windw', message: expect.stringMatching(/did you mean window\?/) }),
    ]);
    expect(await local.stop()).toBe(0);
  }, 90_000);
});
