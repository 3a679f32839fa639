// The verdict about scripts that ran while things went wrong: no window left out, none finished or sent twice but those that are
// counted as repeated, the counts right wherever nothing was wrong, and what nobody saw named.
import { copyFileSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { NAMESPACE, until, type Product } from './product.ts';
import { duplicatesOf, type Item } from './received.ts';
import { GRID_MS, shopCounts, type ShopCounts } from './shops.ts';
import { seams, type HistoryEntry, type ScriptRecord } from './statuses.ts';
import { stretchesOf } from './truth.ts';

const REASONS = /^(NodesMissing|SourcesBlind|EventsLost|DataExpired|RowsTruncated)$/;

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

/** Milliseconds since the epoch; [start, end). */
export interface Trouble {
  readonly what: string;
  readonly start: number;
  readonly end: number;
}

export const clock = (ms: number): string => new Date(ms).toISOString().slice(11, 19);

export interface Evidence {
  readonly product: Product;
  readonly records: readonly ScriptRecord[];
  /** Judged from here on. */
  readonly fromMs: number;
  readonly troubles: readonly Trouble[];
  /** During these, shops lost their memory. */
  readonly crashes: readonly Trouble[];
  /** What shops said before they lost it. */
  readonly before: readonly ShopCounts[];
  /** What ledgers said that may be gone by now, by uid. */
  readonly ledgers: ReadonlyMap<string, readonly Span[]>;
}

const isIn =
  (list: readonly Trouble[]) =>
  ({ start, end }: { readonly start: number; readonly end: number }): boolean =>
    list.some((one) => start < one.end && end > one.start);

export async function judge(evidence: Evidence): Promise<Verdict> {
  const { product, records, before } = evidence;
  const counts = joined(before, await shopCounts(product.cluster));
  const ledgers = await readLedgers(
    product,
    records.map(({ uid }) => uid),
  );
  const parts = records.map((record) => judgeScript(evidence, record, counts, ledgers.get(record.uid) ?? []));
  const all = <T>(pick: (part: Verdict) => readonly T[]): T[] => parts.flatMap(pick);
  const total = (pick: (part: Verdict) => number): number => parts.reduce((sum, part) => sum + pick(part), 0);
  return {
    windows: all(({ windows }) => windows),
    twice: twiceOf(product),
    counts: all(({ counts: wrong }) => wrong),
    unnamed: all(({ unnamed }) => unnamed),
    seen: {
      windows: total(({ seen }) => seen.windows),
      calm: total(({ seen }) => seen.calm),
      counted: total(({ seen }) => seen.counted),
      incomplete: total(({ seen }) => seen.incomplete),
    },
  };
}

function judgeScript(
  { product, fromMs, troubles, crashes, ledgers }: Evidence,
  { script, uid, contradictions, windows, redone, status }: ScriptRecord,
  counts: readonly ShopCounts[],
  intervals: readonly Span[],
): Verdict {
  const history = [...windows.values()];
  const toMs = Date.parse(status?.deliveredUntil ?? '');
  const exported = exportedOf(product.items(), script);
  const stretches = stretchesOf(counts, exported, { windowMs: GRID_MS, fromMs, toMs });
  const calm = stretches.filter((one) => !isIn(troubles)(one));
  const incomplete = history.filter(({ outcome }) => outcome !== 'Complete');
  const timesOf = (one: Span) => ({ start: Date.parse(one.start), end: Date.parse(one.end) });
  // of a checkpoint that was a little behind: run for a second time, in a trouble that began after its end
  const isRedone = (window: HistoryEntry): boolean => {
    const atMs = redone.get(window.start) ?? -Infinity;
    return troubles.some(({ start, end }) => start <= atMs && Date.parse(window.end) <= end);
  };
  const isNamed = (window: HistoryEntry): boolean =>
    (isIn(troubles)(timesOf(window)) || isRedone(window)) && REASONS.test(window.reason ?? '');
  const of = (text: string): string => `${script}: ${text}`;
  return {
    windows: [
      ...contradictions,
      ...(intervals.length === 0 ? ['no ledger has a window of it'] : []),
      // a status has the ten newest windows, and is not written for each; a ledger begins with its runtime's disk
      ...seams(together(history, [...(ledgers.get(uid) ?? []), ...intervals])),
    ].map(of),
    twice: [],
    counts: [
      ...calm
        .filter(({ differences }) => differences.length > 0)
        .map(({ pod, start, end, differences }) => `${pod} ${clock(start)}–${clock(end)}: ${differences.join(', ')}`),
      ...stretches
        .filter((one) => !isIn(crashes)(one) && one.exported > one.counted)
        .map(({ pod, start, counted, exported: sent }) => `${pod} ${clock(start)}: ${sent} of ${counted}`),
    ].map(of),
    unnamed: incomplete
      .filter((window) => !isNamed(window))
      .map(({ start, outcome, reason }) => of(`${start}: ${outcome} ${reason ?? ''}`)),
    seen: {
      windows: history.length,
      calm: calm.length,
      counted: calm.reduce((sum, { counted }) => sum + counted, 0),
      incomplete: incomplete.length,
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

export interface Span {
  readonly start: string;
  readonly end: string;
}
const iso = (ms: number): string => new Date(ms).toISOString();

const exportedOf = (items: readonly Item[], script: string) => {
  const doubled = new Set(duplicatesOf(items));
  return items
    .filter((item) => item.script === script && !doubled.has(item))
    .map((item) => ({
      pod: item.resource.get('k8s.pod.name') ?? '',
      start: Math.floor(Number(item.time / 1_000_000n) / GRID_MS) * GRID_MS,
      key: ['method', 'path', 'status'].map((name) => item.attributes.get(name) ?? '').join(' '),
      value: item.value,
    }));
};

/** Counts of pods that have begun anew since, with those from before. */
export function joined(before: readonly ShopCounts[], now: readonly ShopCounts[]): ShopCounts[] {
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
 * The finished intervals of scripts, by uid, from the files on the runtimes' volumes. A runtime locks its file for itself, so a
 * copy of it and of its log is read; one during which a checkpoint moved pages from the log is taken again, because an old file
 * with a new log lacks them.
 */
export async function readLedgers(
  { cluster }: Product,
  uids: readonly string[],
): Promise<ReadonlyMap<string, readonly Span[]>> {
  const path = 'jsonpath={range .items[*]}{.spec.nodeName} {.metadata.uid}{"\\n"}{end}';
  const selector = 'app.kubernetes.io/component=runtime';
  const said = await cluster.kubectl(['get', 'pods', '-n', NAMESPACE, '-l', selector, '-o', path]);
  const found = new Map<string, Span[]>();
  for (const line of said.split('\n').filter((text) => text !== '')) {
    const [node = '', pod = ''] = line.split(' ');
    const folder = join(cluster.dir, node, 'lib-kubelet/pods', pod, 'volumes/kubernetes.io~empty-dir/state');
    const spans = await until('a ledger that can be read', () => copyAndRead(folder, uids), 10_000);
    for (const [uid, of] of spans) found.set(uid, [...(found.get(uid) ?? []), ...of]);
  }
  return found;
}

function stampOf(file: string): string {
  const { mtimeNs, size } = statSync(file, { bigint: true });
  return `${mtimeNs} ${size}`;
}

function copyAndRead(folder: string, uids: readonly string[]): Map<string, Span[]> {
  const copy = mkdtempSync(join(tmpdir(), 'sluice-ledger-'));
  try {
    const before = stampOf(join(folder, 'ledger.db'));
    for (const name of readdirSync(folder).filter((file) => /^ledger\.db(-wal)?$/.test(file)))
      copyFileSync(join(folder, name), join(copy, name));
    if (stampOf(join(folder, 'ledger.db')) !== before) throw new Error('a checkpoint came in between');
    const ledger = new DatabaseSync(join(copy, 'ledger.db'));
    try {
      const query = ledger.prepare(
        'SELECT start, "end" FROM windows WHERE uid = $uid UNION ALL SELECT start, "end" FROM intervals WHERE uid = $uid ORDER BY 1',
      );
      query.setReadBigInts(true);
      const time = (value: unknown): string => iso(Number(BigInt(String(value)) / 1_000_000n));
      const of = (uid: string): Span[] =>
        query.all({ $uid: uid }).map((row) => ({ start: time(row['start']), end: time(row['end']) }));
      return new Map(uids.map((uid) => [uid, of(uid)]));
    } finally {
      ledger.close();
    }
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}
