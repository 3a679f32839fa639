// Each part is killed and a node crashes, under load: no window is lost and none is sent twice, but for those that the status
// counts as repeated where a runtime's disk was lost; what nobody saw is named.
import { readdirSync, existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { describe, expect } from '@jest/globals';
import type { Checks } from '../checks.ts';
import { killAll, leaderPod, processesOf, type Part } from '../processes.ts';
import { NAMESPACE, ready, until, type Product } from '../product.ts';
import { duplicatesOf, type Item } from '../received.ts';
import { COUNTS, plugin, script } from '../scripts.ts';
import { GRID_MS, loadObjects, shopCounts, type ShopCounts } from '../shops.ts';
import { seams, type ScriptRecord } from '../statuses.ts';
import { stretchesOf } from '../truth.ts';

const NAME = 'sluice-system/counts';
const NODE = 'node';

export function faultsSuite(getProduct: () => Product, { beforeAll, test }: Checks): void {
  describe('killed and come back, under load', () => {
    let product: Product;
    let fromMs = 0;
    /** What is in the memory of the shops of the node that crashes. */
    let beforeCrash: ShopCounts[] = [];
    /** Stretches of time in which a fault may have cost rows: from the blow until all is well again. */
    const troubles: { readonly what: string; readonly start: number; readonly end: number }[] = [];
    const record = (): ScriptRecord => {
      const found = product.statuses.of(NAME);
      if (found === undefined) throw new Error(`${NAME} has no status`);
      return found;
    };
    const deliveredBeyond = (ms: number, timeoutMs = 90_000): Promise<unknown> =>
      until(
        `${NAME} is delivered beyond ${new Date(ms).toISOString()}`,
        () => Date.parse(record().status?.deliveredUntil ?? '') >= ms,
        timeoutMs,
      );

    /** Does it, waits until everything is ready again and two windows that began after that have been delivered. */
    async function trouble(what: string, blow: () => Promise<void>): Promise<void> {
      const start = Date.now();
      await blow();
      await ready(product.cluster);
      const end = Math.ceil(Date.now() / GRID_MS) * GRID_MS + GRID_MS;
      troubles.push({ what, start, end });
      await deliveredBeyond(end + GRID_MS);
    }

    const restarts = async (): Promise<number> => {
      const path = 'jsonpath={.items[*].status.containerStatuses[*].restartCount}';
      const said = await product.cluster.kubectl(['get', 'pods', '-n', NAMESPACE, '-o', path]);
      return said.split(' ').reduce((sum, count) => sum + Number(count), 0);
    };
    /** And waits until its kubelet says so: right after the blow everything still counts as ready. */
    const killPart = (part: Part, node: string) => async (): Promise<void> => {
      const before = await restarts();
      await killAll(processesOf(product.cluster, node, part));
      await until(`another life of ${part}`, async () => (await restarts()) > before, 60_000);
    };
    const nodeOf = async (pod: string): Promise<string> =>
      product.cluster.kubectl(['get', 'pod', pod, '-n', NAMESPACE, '-o', 'jsonpath={.spec.nodeName}']);

    beforeAll(async () => {
      product = getProduct();
      const { apply, cluster } = product;
      await apply([
        plugin({ name: 'faults', namespace: NAMESPACE }),
        script({ name: 'counts', namespace: NAMESPACE, plugin: 'faults', text: COUNTS }),
        // for as long as this takes: 3 connections on each of two nodes, about 10 requests a second each
        ...loadObjects(cluster.nodes, { name: 'load-faults', requests: 20_000, pauseMs: 100 }),
      ]);
      const first = await until('the first window', () => product.statuses.of(NAME)?.status?.nextWindow?.start, 60_000);
      fromMs = Date.parse(first);
      await deliveredBeyond(fromMs + GRID_MS);
    }, 120_000);

    test('the agent of a collector', () => trouble('agent', killPart('agent', 'n1')), 200_000);

    test('the probe of a collector', () => trouble('probe', killPart('probe', 'n2')), 200_000);

    test(
      'the runtime: its disk stays, so it repeats nothing',
      () => trouble('runtime', async () => killPart('runtime', await nodeOf('sluice-runtime-0'))()),
      200_000,
    );

    test(
      'the leading operator: the other one goes on',
      () =>
        trouble('leader', async () => {
          const before = await leaderPod(product.cluster);
          const path = 'jsonpath={.spec.nodeName} {.metadata.uid}';
          const said = await product.cluster.kubectl(['get', 'pod', before, '-n', NAMESPACE, '-o', path]);
          const [node = '', uid = ''] = said.split(' ');
          await killAll(processesOf(product.cluster, node, 'operator', uid));
          await until('another leader', async () => (await leaderPod(product.cluster)) !== before, 60_000);
        }),
      200_000,
    );

    test(
      'the pod of the runtime, with its disk',
      () =>
        trouble('runtime pod', async () => {
          const { kubectl } = product.cluster;
          // to the node that stays up in what follows
          await kubectl(['cordon', 'n2']);
          await kubectl(['delete', 'pod', 'sluice-runtime-0', '-n', NAMESPACE, '--timeout=60s'], { timeoutMs: 70_000 });
          await until('a runtime on n1', async () => (await nodeOf('sluice-runtime-0')) === 'n1', 60_000);
          await kubectl(['uncordon', 'n2']);
        }),
      200_000,
    );

    test('a node, as if its power had gone; what it would have told is named', async () => {
      const { cluster, statuses } = product;
      // the receiver's node stays
      await trouble(NODE, async () => {
        beforeCrash = await shopCounts(cluster);
        await cluster.crashNode('n2');
        await until('the missing node is named', () => statuses.of(NAME)?.incomplete.has('NodesMissing'), 60_000);
        await cluster.startNode('n2');
      });
    }, 300_000);

    test('no window was left out, none overlaps another', async () => {
      const { contradictions, windows } = record();
      expect(contradictions).toEqual([]);
      const seen = [...windows.values()];
      expect(seams(seen)).toEqual([]);
      expect(Math.min(...seen.map(({ start }) => Date.parse(start)))).toBe(fromMs);
      // the ledger itself, read by SQLite
      const intervals = await ledgerOf(product, record().uid);
      expect(intervals.length).toBeGreaterThan(0);
      expect(seams(intervals)).toEqual([]);
    });

    test('nothing was sent twice but what is counted as repeated', () => {
      const doubled = duplicatesOf(product.items());
      const windows = new Map<string, Set<number>>();
      for (const { script: name, time } of doubled)
        windows.set(name, (windows.get(name) ?? new Set()).add(Number(time / 1_000_000n)));
      for (const [name, times] of windows) {
        const one = product.statuses.of(name);
        const repeated = one?.status?.totals.repeated ?? 0;
        const starts = new Set([...times].map((ms) => windowAt(one, ms)));
        expect({ name, twice: starts.size, within: starts.size <= repeated }).toEqual({
          name,
          twice: starts.size,
          within: true,
        });
      }
    });

    test('what arrived is what happened where nothing was in trouble, and never more', async () => {
      const lastMs = Date.parse(record().status?.deliveredUntil ?? '');
      const counts = joined(beforeCrash, await shopCounts(product.cluster));
      const exported = onceOf(product.items()).map((item) => ({
        pod: item.resource.get('k8s.pod.name') ?? '',
        start: Math.floor(Number(item.time / 1_000_000n) / GRID_MS) * GRID_MS,
        key: ['method', 'path', 'status'].map((name) => item.attributes.get(name) ?? '').join(' '),
        value: item.value,
      }));
      const stretches = stretchesOf(counts, exported, { windowMs: GRID_MS, fromMs, toMs: lastMs });
      const isCalm = ({ start, end }: { start: number; end: number }): boolean =>
        !troubles.some((one) => start < one.end && end > one.start);
      const calm = stretches.filter(isCalm);
      expect(calm.reduce((total, { counted }) => total + counted, 0)).toBeGreaterThan(500);
      expect(calm.filter(({ differences }) => differences.length > 0)).toEqual([]);
      const crash = troubles.find(({ what }) => what === NODE);
      const known = stretches.filter(
        ({ start, end }) => crash === undefined || end <= crash.start || start >= crash.end,
      );
      expect(known.filter(({ counted, exported: sent }) => sent > counted)).toEqual([]);
    });

    test('what nobody saw is in the history, with its reason', () => {
      const partial = [...record().windows.values()].filter(({ outcome }) => outcome !== 'Complete');
      expect(partial.length).toBeGreaterThan(0);
      for (const { start, end } of partial)
        expect(troubles.some((one) => Date.parse(start) < one.end && Date.parse(end) > one.start)).toBe(true);
      for (const { reason } of partial)
        expect(reason).toMatch(/^(NodesMissing|SourcesBlind|DataExpired|RowsTruncated)$/);
    });
  });
}

/** Counts of pods that have begun anew since, with those from before. */
const joined = (before: readonly ShopCounts[], now: readonly ShopCounts[]): ShopCounts[] =>
  now.map((one) => {
    const old = before.find(({ pod }) => pod === one.pod);
    const isOld = ({ start }: { readonly start: number }): boolean =>
      !one.windows.some((window) => window.start === start);
    return {
      ...one,
      windows: [...(old?.windows.filter(isOld) ?? []), ...one.windows],
      crossed: [...(old?.crossed ?? []), ...one.crossed],
    };
  });

const windowAt = (one: ScriptRecord | undefined, ms: number): string | undefined =>
  [...(one?.windows.values() ?? [])].find(({ start, end }) => Date.parse(start) <= ms && ms < Date.parse(end))?.start;

const onceOf = (items: readonly Item[]): Item[] => {
  const doubled = new Set(duplicatesOf(items));
  return items.filter((item) => item.script === NAME && !doubled.has(item));
};

/** The finished intervals of a script, from the file on the runtime's volume. */
async function ledgerOf({ cluster }: Product, uid: string): Promise<{ start: string; end: string }[]> {
  const path = 'jsonpath={.spec.nodeName} {.metadata.uid}';
  const said = await cluster.kubectl(['get', 'pod', 'sluice-runtime-0', '-n', NAMESPACE, '-o', path]);
  const [node = '', podUid = ''] = said.split(' ');
  const folder = join(cluster.dir, node, 'lib-kubelet/pods', podUid, 'volumes/kubernetes.io~empty-dir/state');
  const file = existsSync(folder) ? readdirSync(folder).find((name) => name.endsWith('.db')) : undefined;
  if (file === undefined) throw new Error(`no ledger in ${folder}`);
  const ledger = new DatabaseSync(join(folder, file), { readOnly: true });
  try {
    const query = ledger.prepare(
      'SELECT start, "end" FROM windows WHERE uid = $uid UNION ALL SELECT start, "end" FROM intervals WHERE uid = $uid ORDER BY 1',
    );
    query.setReadBigInts(true);
    const time = (value: unknown): string => new Date(Number(BigInt(String(value)) / 1_000_000n)).toISOString();
    return query.all({ $uid: uid }).map((row) => ({ start: time(row['start']), end: time(row['end']) }));
  } finally {
    ledger.close();
  }
}
