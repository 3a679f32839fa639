// What the leader remembers of each ExportScript during its term: what was compiled, what its runs came to, and the facts
// of its last reconcile, from which its status is made whenever it is written.
import type { CompileResult } from '../../model/run.ts';
import type { Fault } from '../../crds/script-conditions.ts';
import { packRecord, unpackRecord } from './record-memory.ts';
import { NEW_RECORD, type ScriptRecord } from './track.ts';

/** What the last reconcile found. */
export interface ScriptView {
  readonly generation: number;
  readonly windowNs: bigint;
  readonly suspended: boolean;
  readonly pluginKey: string;
  readonly pluginUid: string | undefined;
  readonly pluginFault: Fault | undefined;
  readonly pluginDisabled: boolean;
  readonly sourceFault: Fault | undefined;
}

export interface ScriptEntry {
  readonly uid: string;
  /** `namespace/name`. */
  readonly key: string;
  view: ScriptView | undefined;
  /** Of source and arguments that `compiled` is of. */
  compileKey: string | undefined;
  compiled: CompileResult | undefined;
  /** What an earlier leader's status said of a compile of this generation; until there is one of this term. */
  before: { readonly generation: number; readonly compiled: CompileResult | undefined } | undefined;
  /** The runtime does not know its text any more: it is to be given again. */
  isForgotten: boolean;
  /** Made anew each time that it is asked for: what is held is a text. */
  record: ScriptRecord;
  /** `packConditions` of what was made last, or of what an earlier leader wrote. */
  conditions: string;
  /** `hashConditions` of what the API server answered to our last write. */
  writtenHash: string | undefined;
  writtenAtMs: number;
  deliveredUntil: string | undefined;
  manual: { readonly token: string; readonly outcome: string } | undefined;
  /** The token of a manual run that is under way. */
  manualRunning: string | undefined;
  isReady: boolean;
}

export interface ScriptEntries {
  get(key: string): ScriptEntry | undefined;
  byUid(uid: string): ScriptEntry | undefined;
  /** The entry of that very object; one of an object that had the name before is forgotten. */
  open(key: string, uid: string): { readonly entry: ScriptEntry; readonly replaced: ScriptEntry | undefined };
  forget(key: string): ScriptEntry | undefined;
  all(): Iterable<ScriptEntry>;
  readonly size: number;
}

const NONE: readonly never[] = [];
const PACKED_NEW_RECORD = packRecord(NEW_RECORD);

class StoredEntry implements ScriptEntry {
  readonly uid: string;
  readonly key: string;
  view: ScriptView | undefined = undefined;
  compileKey: string | undefined = undefined;
  compiled: CompileResult | undefined = undefined;
  before: ScriptEntry['before'] = undefined;
  isForgotten = false;
  conditions = '';
  writtenHash: string | undefined = undefined;
  writtenAtMs = 0;
  deliveredUntil: string | undefined = undefined;
  manual: ScriptEntry['manual'] = undefined;
  manualRunning: string | undefined = undefined;
  isReady = false;
  private packed = PACKED_NEW_RECORD;

  constructor(key: string, uid: string) {
    this.key = key;
    this.uid = uid;
  }

  get record(): ScriptRecord {
    return unpackRecord(this.packed);
  }

  set record(record: ScriptRecord) {
    this.packed = packRecord(record);
  }
}

/** `resumed`: what an earlier leader's status said, by uid; each is taken once. */
export function createScriptEntries(resumed: Map<string, Partial<ScriptEntry>>): ScriptEntries {
  const entries = new Map<string, ScriptEntry>();
  const uids = new Map<string, ScriptEntry>();

  function forget(key: string): ScriptEntry | undefined {
    const entry = entries.get(key);
    if (entry === undefined) return undefined;
    entries.delete(key);
    uids.delete(entry.uid);
    return entry;
  }

  return {
    get: (key) => entries.get(key),
    byUid: (uid) => uids.get(uid),
    open(key, uid) {
      const known = entries.get(key);
      if (known?.uid === uid) return { entry: known, replaced: undefined };
      const replaced = forget(key);
      const entry = Object.assign(new StoredEntry(key, uid), resumed.get(uid));
      resumed.delete(uid);
      entries.set(key, entry);
      uids.set(uid, entry);
      return { entry, replaced };
    },
    forget,
    all: () => entries.values(),
    get size() {
      return entries.size;
    },
  };
}

/** A compile's result without what only `sluice check` shows. Ten thousand of them are held. */
export function slimCompiled({ scriptHash, diagnostics }: CompileResult): CompileResult {
  const errors = diagnostics.filter(({ severity }) => severity === 'error');
  const warnings = diagnostics.filter(({ severity }) => severity === 'warning');
  const kept = [...errors.slice(0, 20), ...warnings.slice(0, 1)];
  return { scriptHash, outputs: NONE, diagnostics: kept.length === 0 ? NONE : kept };
}
