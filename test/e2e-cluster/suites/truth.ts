// What arrives is what happened: the shops' own counts, the receiver's file and `kubectl get` say the same.
import { describe, expect } from '@jest/globals';
import type { Checks } from '../checks.ts';
import { arrivedByWindow, duplicatesOf, type Item } from '../received.ts';
import { COUNTS, GAUGES_AND_SPANS, plugin, script } from '../scripts.ts';
import { GRID_MS, loadEnd, loadObjects, shopCounts, SHOPS, type ShopCounts } from '../shops.ts';
import { routeKey, stretchesOf, type Exported, type Stretch } from '../truth.ts';
import { until, type Product } from '../product.ts';
import type { HistoryEntry } from '../statuses.ts';

/** Window of the samples. */
const WINDOW_MS = 10_000;
const REQUESTS = 400;

const SAMPLE = 'sluice-system/slow-requests';
const HTTP = 'sluice-system/collector-http-metrics';
const NETWORK = 'sluice-system/collector-network-connections';
const PAY = 'pay/requests';
const SHOP = 'shop/answers';
const ALL = [SAMPLE, HTTP, NETWORK, PAY, SHOP];

const exportedBy = (
  items: readonly Item[],
  windowMs: number,
  isWanted: (item: Item) => boolean,
  keyOf: (item: Item) => string,
): Exported[] =>
  items.filter(isWanted).map((item) => ({
    pod: item.resource.get('k8s.pod.name') ?? '',
    start: Math.floor(Number(item.time / 1_000_000n) / windowMs) * windowMs,
    key: keyOf(item),
    value: item.value,
  }));

const own = ({ attributes }: Item): string =>
  ['method', 'path', 'status'].map((name) => attributes.get(name) ?? '').join(' ');
const semantic = ({ attributes }: Item): string =>
  ['http.request.method', 'http.route', 'http.response.status_code']
    .map((name) => attributes.get(name) ?? '')
    .join(' ');

export function truthSuite(getProduct: () => Product, { beforeAll, test }: Checks): void {
  describe('what arrives is what happened', () => {
    let product: Product;
    let counts: ShopCounts[];
    let [fromMs, toMs] = [0, 0];
    const shopPods = (): string[] => counts.map(({ namespace, pod }) => `${namespace}/${pod}`);
    const windowsOf = (name: string): HistoryEntry[] =>
      [...(product.statuses.of(name)?.windows.values() ?? [])].filter(
        ({ start, end }) => Date.parse(start) >= fromMs && Date.parse(end) <= toMs,
      );
    const lostIn = (name: string): number => windowsOf(name).reduce((sum, { lost }) => sum + lost, 0);

    /** exported = counted, key by key; where a loss was declared, exported ≤ counted ≤ exported + lost. */
    function expectTruth(stretches: readonly Stretch[], lost: number): void {
      const [counted, exported] = [sum(stretches, 'counted'), sum(stretches, 'exported')];
      expect(counted).toBeGreaterThan(0);
      if (lost === 0) expect(stretches.filter(({ differences }) => differences.length > 0)).toEqual([]);
      else process.stderr.write(`a loss of ${lost} was declared\n`);
      expect(exported).toBeLessThanOrEqual(counted);
      expect(counted).toBeLessThanOrEqual(exported + lost);
    }

    beforeAll(async () => {
      product = getProduct();
      const { cluster, apply } = product;
      await apply([
        plugin({ name: 'backend', namespace: 'pay' }),
        script({ name: 'requests', namespace: 'pay', plugin: 'backend', text: COUNTS }),
        plugin({ name: 'backend', namespace: 'shop' }),
        script({ name: 'answers', namespace: 'shop', plugin: 'backend', text: GAUGES_AND_SPANS }),
      ]);
      fromMs = await until(
        'every script has a window that began',
        () => {
          const begun = ALL.map((name) => Date.parse(product.statuses.of(name)?.status?.nextWindow?.start ?? ''));
          const last = Math.max(...begun);
          return last <= Date.now() ? Math.ceil(last / WINDOW_MS) * WINDOW_MS : undefined;
        },
        60_000,
      );
      await apply(loadObjects(cluster.nodes, { name: 'load', requests: REQUESTS }));
      const load = await loadEnd(cluster, 'load', 120_000);
      expect(load).toEqual({ asked: REQUESTS * cluster.nodes.length, failures: 0 });
      toMs = (Math.floor(Date.now() / WINDOW_MS) + 1) * WINDOW_MS;
      await until(
        'everything is delivered',
        () => ALL.every((name) => Date.parse(product.statuses.of(name)?.status?.deliveredUntil ?? '') >= toMs),
        60_000,
      );
      // acknowledged is not yet in the file
      await until('the file has it', () => itemsIn(product.items(), fromMs, toMs, PAY).length > 0, 10_000);
      counts = await shopCounts(cluster);
    }, 300_000);

    for (const [metric, kind] of [
      ['http.server.request.count', 'sum'],
      ['http.server.request.duration', 'histogram'],
    ] as const)
      test(`the preset counts each answer of each pod once: ${metric}`, () => {
        const wanted = (item: Item): boolean => item.script === HTTP && item.name === metric && item.kind === kind;
        const exported = exportedBy(product.items(), WINDOW_MS, wanted, semantic);
        const options = { windowMs: WINDOW_MS, fromMs, toMs, keyOf: routeKey };
        expectTruth(stretchesOf(counts, exported, options), lostIn(HTTP));
      });

    test('a script of its own, in a namespace of its own, sees that namespace and nothing else', () => {
      const exported = exportedBy(product.items(), GRID_MS, ({ script: name }) => name === PAY, own);
      const mine = counts.filter(({ namespace }) => namespace === 'pay');
      expectTruth(stretchesOf(mine, exported, { windowMs: GRID_MS, fromMs, toMs }), lostIn(PAY));
      const pods = new Set(exported.map(({ pod }) => pod));
      expect([...pods].filter((pod) => !shopPods().includes(pod) || !pod.startsWith('pay/'))).toEqual([]);
    });

    test('spans: one for each answer, and a gauge for each pod', () => {
      const mine = counts.filter(({ namespace }) => namespace === 'shop');
      const items = product.items().filter(({ script: name }) => name === SHOP);
      const spans = exportedBy(items, GRID_MS, ({ kind }) => kind === 'span', own);
      expectTruth(stretchesOf(mine, spans, { windowMs: GRID_MS, fromMs, toMs }), lostIn(SHOP));
      const gauges = itemsIn(items, fromMs, toMs, SHOP).filter(({ kind }) => kind === 'gauge');
      expect(new Set(gauges.map(({ resource }) => resource.get('k8s.pod.name')))).toEqual(
        new Set(mine.map(({ namespace, pod }) => `${namespace}/${pod}`)),
      );
      // the slowest route takes 60 ms
      for (const { value } of gauges) expect(value).toBeGreaterThan(0);
      expect(Math.max(...gauges.map(({ value }) => value))).toBeGreaterThan(50_000_000);
    });

    test('the sample sends a span for each failure', () => {
      const failed = (key: string): boolean => key.endsWith(' 500');
      const wanted = (item: Item): boolean =>
        item.script === SAMPLE && item.attributes.get('http.response.status_code') === '500';
      const exported = exportedBy(product.items(), WINDOW_MS, wanted, semantic);
      const onlyFailed = counts.map((one) => ({
        ...one,
        windows: one.windows.map(({ start, counts: all }) => ({
          start,
          counts: Object.fromEntries(Object.entries(all).filter(([key]) => failed(key))),
        })),
      }));
      const options = { windowMs: WINDOW_MS, fromMs, toMs, keyOf: routeKey };
      expectTruth(stretchesOf(onlyFailed, exported, options), lostIn(SAMPLE));
    });

    test('pods have their service, their namespace and their node', () => {
      const where = new Map(counts.map((one) => [`${one.namespace}/${one.pod}`, one]));
      const said = new Map<string, Set<string>>();
      for (const { script: name, resource } of itemsIn(product.items(), fromMs, toMs)) {
        const pod = resource.get('k8s.pod.name') ?? '';
        if (!where.has(pod) || name === SAMPLE || name === NETWORK) continue;
        const facts = ['service.name', 'k8s.namespace.name', 'k8s.node.name'].map((key) => resource.get(key) ?? '');
        said.set(pod, (said.get(pod) ?? new Set()).add(facts.join(' ')));
      }
      expect([...said].map(([pod, facts]) => `${pod}: ${[...facts].join(', ')}`).sort()).toEqual(
        [...where].map(([pod, one]) => `${pod}: ${one.namespace}/${one.service} ${one.namespace} ${one.node}`).sort(),
      );
      expect(new Set(counts.map(({ node }) => node))).toEqual(new Set(product.cluster.nodes));
      expect(counts).toHaveLength(SHOPS.reduce((sum, { replicas }) => sum + replicas, 0));
    });

    test('bytes and connections between pods of both nodes arrive as cumulative sums', () => {
      const points = itemsIn(product.items(), fromMs, toMs, NETWORK);
      const names = new Set(points.map(({ name }) => name));
      expect([...names].sort()).toEqual([
        'network.connection.bytes_received',
        'network.connection.bytes_sent',
        'network.connection.closed',
        'network.connection.opened',
      ]);
      const pods = new Set(points.map(({ resource }) => resource.get('k8s.pod.name')));
      for (const pod of shopPods()) expect(pods).toContain(pod);
    });

    test('the statuses count what arrived, window by window', () => {
      for (const name of ALL) {
        const windowMs = name === PAY || name === SHOP ? GRID_MS : WINDOW_MS;
        const arrived = arrivedByWindow(product.items(), name, windowMs);
        const windows = windowsOf(name).toSorted((a, b) => (a.start < b.start ? -1 : 1));
        expect({ name, windows: windows.length }).toEqual({ name, windows: (toMs - fromMs) / windowMs });
        expect(windows.map(({ start, outcome, metrics, spans }) => ({ name, start, outcome, metrics, spans }))).toEqual(
          windows.map(({ start }) => ({
            name,
            start,
            outcome: 'Complete',
            ...(arrived.get(Date.parse(start)) ?? { metrics: 0, spans: 0 }),
          })),
        );
      }
    });

    test('nothing came twice', () => expect(duplicatesOf(product.items()).map(({ identity }) => identity)).toEqual([]));
  });
}

const itemsIn = (items: readonly Item[], fromMs: number, toMs: number, name?: string): Item[] =>
  items.filter(
    ({ script: of, time }) =>
      (name === undefined || of === name) && Number(time / 1_000_000n) >= fromMs && Number(time / 1_000_000n) < toMs,
  );
const sum = (stretches: readonly Stretch[], what: 'counted' | 'exported'): number =>
  stretches.reduce((total, one) => total + one[what], 0);
