// All ExportScripts as the API server has them now, page by page: at the beginning of a term, and when many are to be compiled
// again. A page brings what an earlier leader's statuses say and the texts for the compiler; the one after the next is asked for
// when its scripts were looked at. So ten thousand are compiled from a few requests, and few texts are held at a time.
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeClient, KubeObject, ResourceType } from '../../kube/types.ts';
import { hashOfText, inlineTextOf, type ScriptTexts } from './ingest.ts';
import { resumedOf, type ResumedScript } from './resumed.ts';

export interface ScriptReadingOptions {
  readonly client: Pick<KubeClient, 'list'>;
  readonly type: ResourceType;
  /** One `undefined`: all. */
  readonly namespaces: readonly (string | undefined)[];
  /** Ends it. */
  readonly signal: AbortSignal;
  readonly texts: ScriptTexts;
  /** Whether it is to be compiled, and can be. */
  readonly wantsText: (uid: string) => boolean;
  /** Once for each object, before `lookAt` has its key. */
  readonly onResumed: (uid: string, resumed: ResumedScript) => void;
  /** Resolves when each of these was looked at. */
  readonly lookAt: (keys: readonly string[]) => Promise<void>;
  /** After the first time through; what is in the store and was not among them is newer. */
  readonly onComplete: () => void;
  readonly onFault: (what: string, error: unknown) => void;
}

export interface ScriptReading {
  /** Whether what an earlier leader said of this object is known. */
  hasRead(uid: string): boolean;
  /** Once more through all, for their texts; after the time that is under way. */
  again(): void;
}

const PAGE = 500;
const RETRY_MS = 2000;

interface Page {
  readonly keys: readonly string[];
  readonly hashes: readonly string[];
  readonly next: string | undefined;
}

export function startScriptReading(options: ScriptReadingOptions): ScriptReading {
  const { client, type, signal, texts } = options;
  const read = new Set<string>();
  let isComplete = false;
  let isReading = false;
  let isWanted = false;

  /** What of an object concerns us; the object itself, with its status, is let go of. */
  function take(object: KubeObject, keys: string[], hashes: string[]): void {
    const { name, namespace = '', uid = '' } = object.metadata;
    const isNew = !isComplete && !read.has(uid);
    if (isNew) {
      read.add(uid);
      const resumed = resumedOf(object);
      if (resumed !== undefined) options.onResumed(uid, resumed);
    }
    const isTextWanted = options.wantsText(uid);
    const text = isTextWanted ? inlineTextOf(object) : undefined;
    if (text !== undefined) {
      const hash = hashOfText(text);
      texts.put(hash, text);
      hashes.push(hash);
    }
    if (isNew || isTextWanted) keys.push(`${namespace}/${name}`);
  }

  async function ask(namespace: string | undefined, token: string | undefined): Promise<Page> {
    const page = await client.list(type, {
      signal,
      limit: PAGE,
      ...(namespace === undefined ? {} : { namespace }),
      ...(token === undefined ? {} : { continue: token }),
    });
    const [keys, hashes]: [string[], string[]] = [[], []];
    for (const object of page.items) take(object, keys, hashes);
    return { keys, hashes, next: page.continue };
  }

  async function readAll(namespace: string | undefined): Promise<void> {
    let token: string | undefined;
    let page = await ask(namespace, token);
    for (;;) {
      token = page.next;
      const looked = options.lookAt(page.keys);
      const following = token === undefined ? undefined : await ask(namespace, token);
      await looked;
      for (const hash of page.hashes) texts.take(hash);
      if (following === undefined) return;
      page = following;
    }
  }

  async function readOnce(): Promise<void> {
    for (const namespace of options.namespaces) await readAll(namespace);
    if (isComplete) return;
    isComplete = true;
    read.clear();
    options.onComplete();
  }

  async function run(): Promise<void> {
    isReading = true;
    while (isWanted && !signal.aborted) {
      isWanted = false;
      try {
        await readOnce();
      } catch (error) {
        if (signal.aborted) return;
        options.onFault('reading all scripts', error);
        isWanted = true;
        await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
    isReading = false;
  }

  function again(): void {
    isWanted = true;
    if (!isReading) void run();
  }

  again();
  return { hasRead: (uid) => isComplete || read.has(uid), again };
}
