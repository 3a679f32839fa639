// One script under load while things go wrong: what was done when, and at the end the verdict: no window left out, none
// finished or sent twice but those that are counted as repeated, the counts right wherever nothing was wrong, and what nobody
// saw named.
import { copyFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { killAll, leaderPod, processesOf, type Part } from './processes.ts';
import { NAMESPACE, ready, until, type Product } from './product.ts';
import { duplicatesOf, type Item } from './received.ts';
import { COUNTS, plugin, script } from './scripts.ts';
import { GRID_MS, loadObjects, shopCounts, type ShopCounts } from './shops.ts';
import { seams, type HistoryEntry, type ScriptRecord } from './statuses.ts';
import { stretchesOf } from './truth.ts';

const NAME = `${NAMESPACE}/counts`;
const REASONS = /^(NodesMissing|SourcesBlind|DataExpired|RowsTruncated)$/;

export interface Trial {
  readonly script: string;
  readonly record: () => ScriptRecord;
  /** Does it, and waits until everything is ready again and a window that began after that is complete. */
  readonly trouble: (what: string, blow: () => Promise<void>) => Promise<void>;
  /** SIGKILL to a part on a node; resolves when its kubelet has begun another life of it. */
  readonly killPart: (part: Part, node: string) => Promise<void>;
  readonly killLeader: () => Promise<void>;
  /** A node as if its power had gone, and back; `meanwhile` runs in between. */
  readonly crash: (node: string, meanwhile: () => Promise<unknown>) => Promise<void>;
  readonly nodeOf: (pod: string) => Promise<string>;
  /** What is not as it should be, in words; empty where all is. */
  readonly verdict: () => Promise<Verdict>;
}

export interface Verdict {
  /** Windows left out, overlapping or finished twice, by the statuses and by the ledger. */
  readonly windows: readonly string[];
  /** Sent twice without being counted as repeated. */
  readonly twice: readonly string[];
  /** Wrong counts where nothing was wrong, and too much anywhere. */
  readonly counts: readonly string[];
  /** Windows that are not complete although nothing was wrong, or without a reason. */
  readonly unnamed: readonly string[];
  /** Not faults: how much was looked at. */
  readonly seen: {
    readonly windows: number;
    readonly calm: number;
    readonly counted: number;
    readonly incomplete: number;
  };
}

interface Trouble {
  readonly what: string;
  readonly start: number;
  readonly end: number;
}

const clock = (ms: number): string => new Date(ms).toISOString().slice(11, 19);

/** Applies plugin, script and load; resolves when a first window is delivered. */
export async function startTrial(product: Product): Promise<Trial> {
  const { cluster, apply, statuses } = product;
  const { kubectl } = cluster;
  const troubles: Trouble[] = [];
  /** What was in the memory of the shops of nodes that crashed. */
  let before: ShopCounts[] = [];
  const crashes: Trouble[] = [];
  /** What the ledgers said, by start. */
  const finished = new Map<string, Span>();

  const record = (): ScriptRecord => {
    const found = statuses.of(NAME);
    if (found === undefined) throw new Error(`${NAME} has no status`);
    return found;
  };
  const deliveredBeyond = (ms: number): Promise<unknown> =>
    until(
      `${NAME} is delivered beyond ${clock(ms)}`,
      () => Date.parse(record().status?.deliveredUntil ?? '') >= ms,
      120_000,
    );
  const restarts = async (): Promise<number> => {
    const path = 'jsonpath={.items[*].status.containerStatuses[*].restartCount}';
    const said = await kubectl(['get', 'pods', '-n', NAMESPACE, '-o', path]);
    return said.split(' ').reduce((sum, count) => sum + Number(count), 0);
  };
  const podField = (pod: string, path: string): Promise<string> =>
    kubectl(['get', 'pod', pod, '-n', NAMESPACE, '-o', `jsonpath=${path}`]);
  const trouble: Trial['trouble'] = async (what, blow) => {
    // what is not delivered yet may still be wanted from the nodes
    const start = Math.min(Date.now(), Date.parse(record().status?.deliveredUntil ?? ''));
    // a runtime that loses its disk takes its ledger along
    for (const interval of await ledgerOf(product, record().uid)) finished.set(interval.start, interval);
    await blow();
    await ready(cluster);
    const readyMs = Date.now();
    const isWell = ({ start: from, outcome }: HistoryEntry): boolean =>
      outcome === 'Complete' && Date.parse(from) >= readyMs;
    const well = await until(
      `a complete window after ${what}`,
      () => [...record().windows.values()].find(isWell),
      120_000,
    );
    troubles.push({ what, start, end: Date.parse(well.start) });
  };

  await apply([
    plugin({ name: 'faults', namespace: NAMESPACE }),
    script({ name: 'counts', namespace: NAMESPACE, plugin: 'faults', text: COUNTS }),
    ...loadObjects(cluster.nodes, { name: 'load-faults', requests: 20_000, pauseMs: 100, isEndless: true }),
  ]);
  const first = await until('the first window', () => statuses.of(NAME)?.status?.nextWindow?.start, 60_000);
  const fromMs = Date.parse(first);
  await deliveredBeyond(fromMs + GRID_MS);

  return {
    script: NAME,
    record,
    trouble,
    async killPart(part, node) {
      // right after the blow everything still counts as ready
      const lives = await restarts();
      await killAll(processesOf(cluster, node, part));
      await until(`another life of ${part}`, async () => (await restarts()) > lives, 60_000);
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
    nodeOf: (pod) => podField(pod, '{.spec.nodeName}'),
    async verdict() {
      const { contradictions, windows, uid } = record();
      const intervals = await ledgerOf(product, uid);
      const history = [...windows.values()];
      const lastMs = Date.parse(record().status?.deliveredUntil ?? '');
      const isIn =
        (list: readonly Trouble[]) =>
        ({ start, end }: { readonly start: number; readonly end: number }): boolean =>
          list.some((one) => start < one.end && end > one.start);
      const stretches = stretchesOf(joined(before, await shopCounts(cluster)), exportedOf(product.items()), {
        windowMs: GRID_MS,
        fromMs,
        toMs: lastMs,
      });
      const calm = stretches.filter((one) => !isIn(troubles)(one));
      const incomplete = history.filter(({ outcome }) => outcome !== 'Complete');
      const timesOf = (one: { readonly start: string; readonly end: string }) => ({
        start: Date.parse(one.start),
        end: Date.parse(one.end),
      });
      return {
        windows: [
          ...contradictions,
          ...(intervals.length === 0 ? ['the ledger has no window'] : []),
          ...seams(intervals).map((seam) => `in the ledger: ${seam}`),
          // a status has the ten newest windows, and is not written for each; the ledger begins with the runtime's disk
          ...seams(together(history, [...finished.values(), ...intervals])),
        ],
        twice: twiceOf(product),
        counts: [
          ...calm
            .filter(({ differences }) => differences.length > 0)
            .map(
              ({ pod, start, end, differences }) => `${pod} ${clock(start)}–${clock(end)}: ${differences.join(', ')}`,
            ),
          ...stretches
            .filter((one) => !isIn(crashes)(one) && one.exported > one.counted)
            .map(({ pod, start, counted, exported }) => `${pod} ${clock(start)}: ${exported} of ${counted}`),
        ],
        unnamed: incomplete
          .filter((window) => !isIn(troubles)(timesOf(window)) || !REASONS.test(window.reason ?? ''))
          .map(({ start, outcome, reason }) => `${start}: ${outcome} ${reason ?? ''}`),
        seen: {
          windows: history.length,
          calm: calm.length,
          counted: calm.reduce((total, { counted }) => total + counted, 0),
          incomplete: incomplete.length,
        },
      };
    },
  };
}

/** Windows of the statuses, and of the ledger what no status had: intervals there are joined windows. */
function together(history: readonly Span[], ledger: readonly Span[]): Span[] {
  const known = new Set(history.map(({ start }) => Date.parse(start)));
  const windows = ledger.flatMap((interval) => {
    const starts: number[] = [];
    for (let ms = Date.parse(interval.start); ms < Date.parse(interval.end); ms += GRID_MS) starts.push(ms);
    return starts;
  });
  const missing = new Set(windows.filter((ms) => !known.has(ms)));
  return [...history, ...[...missing].map((ms) => ({ start: iso(ms), end: iso(ms + GRID_MS) }))];
}

interface Span {
  readonly start: string;
  readonly end: string;
}
const iso = (ms: number): string => new Date(ms).toISOString();

const exportedOf = (items: readonly Item[]) => {
  const doubled = new Set(duplicatesOf(items));
  return items
    .filter((item) => item.script === NAME && !doubled.has(item))
    .map((item) => ({
      pod: item.resource.get('k8s.pod.name') ?? '',
      start: Math.floor(Number(item.time / 1_000_000n) / GRID_MS) * GRID_MS,
      key: ['method', 'path', 'status'].map((name) => item.attributes.get(name) ?? '').join(' '),
      value: item.value,
    }));
};

/** Counts of pods that have begun anew since, with those from before. */
function joined(before: readonly ShopCounts[], now: readonly ShopCounts[]): ShopCounts[] {
  return now.map((one) => {
    const old = before.find(({ namespace, pod }) => namespace === one.namespace && pod === one.pod);
    const starts = new Set(one.windows.map(({ start }) => start));
    return {
      ...one,
      windows: [...(old?.windows.filter(({ start }) => !starts.has(start)) ?? []), ...one.windows],
      crossed: [...(old?.crossed ?? []), ...one.crossed],
    };
  });
}

/** Scripts with more windows that arrived twice than their status counts as repeated. */
function twiceOf({ items, statuses }: Product): string[] {
  const windows = new Map<string, Set<string>>();
  for (const { script: name, time } of duplicatesOf(items())) {
    const ms = Number(time / 1_000_000n);
    const of = [...(statuses.of(name)?.windows.values() ?? [])];
    const window = of.find(({ start, end }) => Date.parse(start) <= ms && ms < Date.parse(end));
    windows.set(name, (windows.get(name) ?? new Set()).add(window?.start ?? `unknown ${clock(ms)}`));
  }
  return [...windows].flatMap(([name, starts]) => {
    const repeated = statuses.of(name)?.status?.totals.repeated ?? 0;
    return starts.size <= repeated ? [] : [`${name}: ${[...starts].join(', ')}; ${repeated} counted as repeated`];
  });
}

/**
 * The finished intervals of a script, from the file on the runtime's volume. The runtime locks it for itself, so a copy of it
 * and of its log is read; one that was taken in the middle of a checkpoint is malformed and taken again.
 */
async function ledgerOf({ cluster }: Product, uid: string): Promise<{ start: string; end: string }[]> {
  const path = 'jsonpath={.spec.nodeName} {.metadata.uid}';
  const said = await cluster.kubectl(['get', 'pod', 'sluice-runtime-0', '-n', NAMESPACE, '-o', path]);
  const [node = '', podUid = ''] = said.split(' ');
  const folder = join(cluster.dir, node, 'lib-kubelet/pods', podUid, 'volumes/kubernetes.io~empty-dir/state');
  return until(
    'a ledger that can be read',
    () => {
      const copy = mkdtempSync(join(tmpdir(), 'sluice-ledger-'));
      try {
        for (const name of readdirSync(folder).filter((file) => /^ledger\.db(-wal)?$/.test(file)))
          copyFileSync(join(folder, name), join(copy, name));
        return intervalsIn(join(copy, 'ledger.db'), uid);
      } finally {
        rmSync(copy, { recursive: true, force: true });
      }
    },
    10_000,
  );
}

function intervalsIn(file: string, uid: string): { start: string; end: string }[] {
  const ledger = new DatabaseSync(file);
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
