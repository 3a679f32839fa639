// The beginning of a term: no script is looked at before it is known what an earlier leader said of it, and what destinations say
// meanwhile of scripts that were not looked at yet is kept for them.
import type { KubeClient, ResourceType, Store } from '../../kube/types.ts';
import type { Delivery } from '../../model/outcome.ts';
import type { ScriptEntries, ScriptEntry } from './entries.ts';
import type { ScriptTexts, SlimScript } from './ingest.ts';
import { startScriptReading, type ScriptReading } from './reading.ts';

export interface FirstLookOptions {
  readonly client: Pick<KubeClient, 'list'>;
  readonly type: ResourceType;
  readonly namespaces: readonly (string | undefined)[];
  /** Of the term. */
  readonly signal: AbortSignal;
  readonly scripts: Pick<Store<SlimScript>, 'get' | 'all'>;
  readonly entries: ScriptEntries;
  /** What `entries` goes on from, by uid. */
  readonly resumed: Map<string, Partial<ScriptEntry>>;
  readonly texts: ScriptTexts;
  /** Whether its runtime can be asked to compile. */
  readonly canCompile: (uid: string) => boolean;
  /** What is written already of a script. */
  readonly seed: (key: string, urgentKey: string) => void;
  /** Has a key looked at, by `reconcile`. */
  readonly enqueue: (key: string) => void;
  readonly reconcile: (key: string, signal: AbortSignal) => Promise<void>;
  readonly deliver: (delivery: Delivery) => void;
  readonly onFault: (what: string, error: unknown) => void;
}

export interface FirstLook {
  /** Begins to read them; until then none has its turn. */
  begin(): void;
  /** Does nothing for a script whose turn comes later. */
  reconcile(key: string, signal: AbortSignal): Promise<void>;
  delivered(delivery: Delivery): void;
  /** Runtimes can be asked that could not: whatever is not compiled is looked at again. */
  compileAll(): void;
}

/** Up to so many are looked at one by one, each text read by itself. */
const FEW = 32;
/** Some MB. A spool that holds more is a destination that was away for long; the ledger's totals know of it. */
const DELIVERIES_MAX = 20_000;

interface Batch {
  left: number;
  readonly done: () => void;
}

export function createFirstLook(options: FirstLookOptions): FirstLook {
  const { scripts, entries, resumed, texts, signal } = options;
  const batches = new Map<string, Batch>();
  const early = new Map<string, Delivery[]>();
  let earlyCount = 0;
  let isComplete = false;
  let reading: ScriptReading | undefined;

  const isCompiled = ({ compiled, isForgotten }: ScriptEntry): boolean => compiled !== undefined && !isForgotten;

  function lookAt(keys: readonly string[]): Promise<void> {
    if (keys.length === 0 || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        signal.removeEventListener('abort', done);
        resolve();
      };
      signal.addEventListener('abort', done, { once: true });
      const batch = { left: keys.length, done };
      for (const key of keys) batches.set(key, batch);
      for (const key of keys) options.enqueue(key);
    });
  }

  function lookedAt(key: string): void {
    const batch = batches.get(key);
    if (batch === undefined) return;
    batches.delete(key);
    batch.left -= 1;
    if (batch.left === 0) batch.done();
  }

  /** One that never had a status has nothing to go on from; where its text is here it is newer than this term. */
  function isItsTurn({ metadata, spec, conditionsHash }: SlimScript): boolean {
    if (reading?.hasRead(metadata.uid) === true) return true;
    const hash = spec?.script.inlineHash;
    return reading !== undefined && conditionsHash === '' && (hash === undefined || texts.has(hash));
  }

  function deliverEarly(key: string): void {
    if (early.size === 0) return;
    const uid = entries.get(key)?.uid ?? '';
    const deliveries = early.get(uid) ?? [];
    early.delete(uid);
    for (const delivery of deliveries) options.deliver(delivery);
  }

  return {
    begin() {
      texts.open();
      reading = startScriptReading({
        ...options,
        wantsText(uid) {
          const entry = entries.byUid(uid);
          return options.canCompile(uid) && (entry === undefined || !isCompiled(entry));
        },
        onResumed(uid, { key, entry, urgentKey }) {
          if (entries.byUid(uid) !== undefined) return;
          resumed.set(uid, entry);
          options.seed(key, urgentKey);
        },
        lookAt,
        onComplete() {
          isComplete = true;
          resumed.clear();
          for (const { metadata } of scripts.all()) {
            const key = `${metadata.namespace}/${metadata.name}`;
            if (entries.get(key)?.uid !== metadata.uid) options.enqueue(key);
          }
        },
      });
    },
    async reconcile(key, ofKey) {
      const [namespace = '', name = ''] = key.split('/');
      const script = scripts.get(namespace, name);
      if (script !== undefined && !isItsTurn(script)) {
        // made anew under that name since its page was read: that page need not wait for it
        lookedAt(key);
        return;
      }
      try {
        await options.reconcile(key, ofKey);
      } finally {
        deliverEarly(key);
        lookedAt(key);
      }
    },
    delivered(delivery) {
      if (isComplete || entries.byUid(delivery.uid) !== undefined || earlyCount >= DELIVERIES_MAX) {
        options.deliver(delivery);
        return;
      }
      earlyCount += 1;
      const before = early.get(delivery.uid);
      if (before === undefined) early.set(delivery.uid, [delivery]);
      else before.push(delivery);
    },
    compileAll() {
      const keys: string[] = [];
      for (const entry of entries.all()) {
        if (entry.view !== undefined && !isCompiled(entry) && options.canCompile(entry.uid)) keys.push(entry.key);
      }
      if (keys.length > FEW) reading?.again();
      else for (const key of keys) options.enqueue(key);
    },
  };
}
