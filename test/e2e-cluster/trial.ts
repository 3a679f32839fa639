// Scripts under load while things go wrong: what was done when, for the verdict at the end.
import { killAll, leaderPod, processesOf, type Part } from './processes.ts';
import { changeSettings, NAMESPACE, ready, until, type Product } from './product.ts';
import { COUNTS, plugin, script } from './scripts.ts';
import { GRID_MS, loadObjects, shopCounts, type ShopCounts } from './shops.ts';
import type { HistoryEntry, ScriptRecord } from './statuses.ts';
import { joined, judge, readLedgers, type Span, type Trouble, type Verdict } from './verdict.ts';

/** Several, so that with two runtimes each has some. */
const NAMES = ['counts-1', 'counts-2', 'counts-3', 'counts-4'];
const SCRIPTS = NAMES.map((name) => `${NAMESPACE}/${name}`);

export interface Trial {
  readonly records: () => ScriptRecord[];
  /** Does it, and waits until everything is ready again and a window that began after that is complete. */
  readonly trouble: (what: string, blow: () => Promise<void>) => Promise<void>;
  /** SIGKILL to a part on a node; resolves when its kubelet has begun another life of it. */
  readonly killPart: (part: Part, node: string) => Promise<void>;
  readonly killLeader: () => Promise<void>;
  /** A node as if its power had gone, and back; `meanwhile` runs in between. */
  readonly crash: (node: string, meanwhile: () => Promise<unknown>) => Promise<void>;
  /** Another number of runtimes, by the settings; resolves when they are there, and a window that began after that is complete. No excuse for anything. */
  readonly scale: (count: number) => Promise<void>;
  readonly nodeOf: (pod: string) => Promise<string>;
  /** What is not as it should be, in words; empty where all is. */
  readonly verdict: () => Promise<Verdict>;
}

/** Applies plugin, script and load; resolves when a first window is delivered. */
export async function startTrial(product: Product): Promise<Trial> {
  const { cluster, apply, statuses } = product;
  const { kubectl } = cluster;
  const troubles: Trouble[] = [];
  /** What was in the memory of the shops of nodes that crashed. */
  let before: ShopCounts[] = [];
  const crashes: Trouble[] = [];
  /** What the ledgers said, by uid. */
  const finished = new Map<string, readonly Span[]>();

  const record = (name: string): ScriptRecord => {
    const found = statuses.of(name);
    if (found === undefined) throw new Error(`${name} has no status`);
    return found;
  };
  const deliveredUntil = (): number =>
    Math.min(...SCRIPTS.map((name) => Date.parse(record(name).status?.deliveredUntil ?? '')));
  const restarts = async (part: Part, node: string): Promise<number> => {
    const path = `jsonpath={.items[*].status.containerStatuses[?(@.name=="${part}")].restartCount}`;
    const where = `--field-selector=spec.nodeName=${node}`;
    const said = await kubectl(['get', 'pods', '-n', NAMESPACE, where, '-o', path]);
    return said.split(' ').reduce((sum, count) => sum + Number(count), 0);
  };
  const podField = (pod: string, path: string): Promise<string> =>
    kubectl(['get', 'pod', pod, '-n', NAMESPACE, '-o', `jsonpath=${path}`]);
  /** A runtime that loses its disk, or goes, takes its ledger along. */
  const rememberLedgers = async (): Promise<void> => {
    const uids = SCRIPTS.map((name) => record(name).uid);
    for (const [uid, spans] of await readLedgers(product, uids))
      finished.set(uid, [...(finished.get(uid) ?? []), ...spans]);
  };
  /** Resolves with the start of the first window that all scripts have complete, of those that begin from now on. */
  const well = async (what: string): Promise<number> => {
    const readyMs = Date.now();
    const isWell = ({ start: from, outcome }: HistoryEntry): boolean =>
      outcome === 'Complete' && Date.parse(from) >= readyMs;
    const ends = await until(
      `complete windows after ${what}`,
      () => {
        const found = SCRIPTS.map((name) => [...record(name).windows.values()].find(isWell));
        return found.every((window) => window !== undefined) && found.map((window) => Date.parse(window.start));
      },
      120_000,
      50,
    );
    return Math.max(...ends);
  };
  const trouble: Trial['trouble'] = async (what, blow) => {
    // what is not delivered yet may still be wanted from the nodes
    const start = Math.min(Date.now(), deliveredUntil());
    await rememberLedgers();
    await blow();
    await ready(cluster);
    troubles.push({ what, start, end: await well(what) });
  };

  await apply([
    plugin({ name: 'faults', namespace: NAMESPACE }),
    ...NAMES.map((name) => script({ name, namespace: NAMESPACE, plugin: 'faults', text: COUNTS })),
    ...loadObjects(cluster.nodes, { name: 'load-faults', requests: 20_000, pauseMs: 100, isEndless: true }),
  ]);
  const fromMs = await until(
    'the first windows',
    () => {
      const until = deliveredUntil();
      return until > 0 && until;
    },
    60_000,
  );

  return {
    records: () => SCRIPTS.map(record),
    trouble,
    async killPart(part, node) {
      // right after the blow everything still counts as ready
      const lives = await restarts(part, node);
      await killAll(processesOf(cluster, node, part));
      await until(`another life of ${part}`, async () => (await restarts(part, node)) > lives, 60_000);
    },
    async killLeader() {
      const leader = await leaderPod(cluster);
      const [node = '', uid = ''] = (await podField(leader, '{.spec.nodeName} {.metadata.uid}')).split(' ');
      await killAll(processesOf(cluster, node, 'operator', uid));
      await until('another leader', async () => (await leaderPod(cluster)) !== leader, 90_000);
    },
    async crash(node, meanwhile) {
      const start = Date.now();
      before = joined(before, await shopCounts(cluster));
      await cluster.crashNode(node);
      await meanwhile();
      await cluster.startNode(node);
      crashes.push({ what: `crash of ${node}`, start, end: Date.now() + GRID_MS });
    },
    async scale(count) {
      await rememberLedgers();
      await changeSettings(cluster, { replicas: String(count) });
      await until(
        `${count} runtimes`,
        async () => {
          const path = 'jsonpath={.status.replicas} {.status.readyReplicas}';
          const said = await kubectl(['get', 'statefulset', 'sluice-runtime', '-n', NAMESPACE, '-o', path]);
          return said === `${count} ${count}`;
        },
        150_000,
      );
      await well(`${count} runtimes`);
    },
    nodeOf: (pod) => podField(pod, '{.spec.nodeName}'),
    verdict: () =>
      judge({ product, records: SCRIPTS.map(record), fromMs, troubles, crashes, before, ledgers: finished }),
  };
}
