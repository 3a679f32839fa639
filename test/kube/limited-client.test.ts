// R34: what waits for a place and what does not. Real requests, answered by hand; the clock is the test's.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openKubeClient, type OpenKubeClient } from '../../src/kube/client.ts';
import { fencedClient, NotLeaderError } from '../../src/kube/fenced-client.ts';
import { limitedClient } from '../../src/kube/limited-client.ts';
import { CONFIG_MAPS } from '../../src/kube/resources.ts';
import { createLimiter } from '../../src/kube/write-limit.ts';
import { startScriptedServer, type ScriptedServer } from './scripted-server.ts';
import { createVirtualClock, type VirtualClock } from './virtual-clock.ts';

const one = { metadata: { namespace: 'a', name: 'one', resourceVersion: '1' } };
const own = { fieldManager: 'sluice' };

let server: ScriptedServer;
let clock: VirtualClock;
let client: OpenKubeClient;

beforeEach(async () => {
  server = await startScriptedServer();
  clock = createVirtualClock();
  client = openKubeClient(server.access, { purpose: 'lease', userAgent: 'test' });
});
afterEach(async () => {
  await client.close();
  await server.stop();
});

const limited = (perSecond: number, of = (plain: OpenKubeClient) => fencedClient(plain, () => true)) =>
  limitedClient(of(client), createLimiter({ perSecond, burst: 1 }, clock));

/** The next request's verb, answered. */
async function served(): Promise<string> {
  const asked = await server.next();
  asked.answer(200, asked.method === 'GET' && asked.path.endsWith('s') ? { ...one, items: [] } : one);
  return `${asked.method} ${asked.path.split('/').slice(6).join('/')}`;
}

test('a burst at once, then a steady rate in the order of asking; who leaves rejects', async () => {
  const limiter = createLimiter({ perSecond: 10, burst: 2 }, clock);
  const done: number[] = [];
  const stop = new AbortController();
  const all = Array.from({ length: 5 }, async (_, index) => {
    await limiter.acquire(index === 3 ? stop.signal : undefined);
    done.push(index);
  });
  all[3]?.catch(() => {});
  await clock.settle(0);
  expect(done).toEqual([0, 1]);
  stop.abort(new Error('left'));
  await expect(all[3]).rejects.toThrow('left');
  await clock.settle(100);
  expect(done).toEqual([0, 1, 2]);
  await clock.settle(200);
  expect(done).toEqual([0, 1, 2, 4]);
});

test('every write that is no status waits for its turn', async () => {
  const slow = limited(1);
  const first = slow.apply(CONFIG_MAPS, one, own);
  const writes = [
    slow.create(CONFIG_MAPS, one, own),
    slow.update(CONFIG_MAPS, one, own),
    slow.patchJson(CONFIG_MAPS, 'a', 'one', [], own),
    slow.delete(CONFIG_MAPS, 'a', 'one'),
    slow.apply(CONFIG_MAPS, one, own),
    slow.raw('POST', '/apis/a/v1/b/c/reviews', {}),
  ];
  const seen = [await served()];
  await first;
  for (const write of writes) {
    expect(server.waiting).toBe(0);
    await clock.settle(1000);
    seen.push(await served());
    await write;
  }
  expect(seen.map((one) => one.split(' ')[0])).toEqual(['PATCH', 'POST', 'PUT', 'PATCH', 'DELETE', 'PATCH', 'POST']);
});

test('statuses and reads do not, while a write waits', async () => {
  const slow = limited(1);
  const first = slow.apply(CONFIG_MAPS, one, own);
  await served();
  await first;
  const waits = slow.apply(CONFIG_MAPS, one, own);
  const status = { ...own, subresource: 'status' } as const;
  const free = [
    slow.apply(CONFIG_MAPS, one, status),
    slow.patchJson(CONFIG_MAPS, 'a', 'one', [], status),
    slow.get(CONFIG_MAPS, 'a', 'one'),
    slow.list(CONFIG_MAPS, { namespace: 'a' }),
    slow.raw('GET', '/version'),
  ];
  const seen = [];
  for (const _ of free) seen.push(await served());
  await Promise.all(free);
  expect(seen.filter((what) => what === 'PATCH one/status')).toHaveLength(2);
  await clock.settle(1000);
  expect(await served()).toBe('PATCH one');
  await waits;
});

test('R27: who leads no more when its turn comes does not write', async () => {
  let leads = true;
  const slow = limited(1, (plain) => fencedClient(plain, () => leads));
  const first = slow.apply(CONFIG_MAPS, one, own);
  await served();
  await first;
  const late = slow.apply(CONFIG_MAPS, one, own);
  late.catch(() => {});
  leads = false;
  await clock.settle(1000);
  await expect(late).rejects.toThrow(NotLeaderError);
  expect(server.waiting).toBe(0);
});
