// One ExportScript: gathers what it needs (its plugin, its text, a compile), decides whether and how it runs, and hands
// that to dispatch. Level-triggered: everything is computed anew from what is there now.
import { createHash } from 'node:crypto';
import { parseDurationMs } from '../../crds/duration.ts';
import type { Fault } from '../../crds/script-conditions.ts';
import { ExternalError } from '../../kube/controller.ts';
import type { KubeClient, ResourceType, Store } from '../../kube/types.ts';
import type { CompileResult, ScriptSource } from '../../model/run.ts';
import { isFault, pluginOf, scheduleOf, sourceOf } from '../desired.ts';
import type { Dispatch, ManualRun } from '../dispatch/contract.ts';
import type { PluginEntry } from '../otelplugin/entries.ts';
import type { References } from '../references.ts';
import { slimCompiled, type ScriptEntries, type ScriptEntry } from './entries.ts';
import { hashOfText, inlineTextOf, type ScriptTexts, type SlimScript, type SlimSpec } from './ingest.ts';
import { compileFault } from './status.ts';

export interface ScriptReconcileOptions {
  readonly scripts: Pick<Store<SlimScript>, 'get'>;
  readonly entries: ScriptEntries;
  /** As last reconciled; undefined where it is not there. `isPending`: it is there and was not looked at yet. */
  readonly plugin: (namespace: string, name: string) => PluginEntry | undefined;
  readonly references: References;
  readonly texts: ScriptTexts;
  readonly client: Pick<KubeClient, 'get'>;
  readonly type: ResourceType;
  readonly dispatch: Pick<Dispatch, 'set' | 'hold' | 'remove' | 'compile' | 'runNow' | 'unavailable'>;
  readonly presetNames: readonly string[];
  /** The operator's own: scripts there see the whole cluster. */
  readonly namespace: string;
  /** The entry's facts have changed: its status is to be made again. */
  readonly onChange: (entry: ScriptEntry) => void;
  readonly onGone: (entry: ScriptEntry) => void;
  readonly onFault: (what: string, error: unknown) => void;
}

/** The user of `References` that a script is. */
export const scriptUser = (key: string): string => `exportscript/${key}`;

/** A run waits this long for the rows of its window (design.md section 4, Watermark). */
const WATERMARK_WAIT_MS = 5000;

const PENDING: Fault = { reason: 'Pending', message: '' };

/** Text that is known, or where it can be had. */
type Source = ScriptSource | { readonly kind: 'inline'; readonly hash: string };

export function createScriptReconcile(
  options: ScriptReconcileOptions,
): (key: string, signal: AbortSignal) => Promise<void> {
  const { entries, dispatch } = options;

  function gone(entry: ScriptEntry): void {
    dispatch.remove(entry.uid);
    options.references.release(scriptUser(entry.key));
    options.onGone(entry);
  }

  function sourceFor(script: SlimScript, spec: SlimSpec): Source | Fault {
    const { configMapKeyRef: ref, inlineHash } = spec.script;
    const { namespace, name } = script.metadata;
    const configMaps = ref === undefined ? [] : [ref.name];
    const lookup = options.references.use(scriptUser(`${namespace}/${name}`), namespace, { secrets: [], configMaps });
    if (inlineHash !== undefined) return { kind: 'inline', hash: inlineHash };
    return sourceOf(spec.script, lookup, options.presetNames);
  }

  /** The text of an inline script: from the watch, or read again where it was dropped meanwhile. */
  async function inlineText(script: SlimScript, hash: string, signal: AbortSignal): Promise<string | undefined> {
    const kept = options.texts.take(hash);
    if (kept !== undefined) return kept;
    const { namespace, name } = script.metadata;
    const text = inlineTextOf(await options.client.get(options.type, namespace, name, { signal }));
    // another one: the watch brings it, and with it another reconcile
    return text !== undefined && hashOfText(text) === hash ? text : undefined;
  }

  async function compiledOf(
    script: SlimScript,
    spec: SlimSpec,
    source: Source,
    entry: ScriptEntry,
    signal: AbortSignal,
  ): Promise<CompileResult | undefined> {
    const args = spec.args ?? {};
    const compileKey = compileKeyOf(source, args);
    const isSame = entry.compileKey === compileKey;
    if (isSame && !entry.isForgotten) return entry.compiled;
    if (!isSame) {
      entry.compileKey = undefined;
      entry.compiled = undefined;
    }
    // asked for again when it is reached; the condition says so meanwhile
    if (dispatch.unavailable(entry.uid) !== undefined) return entry.compiled;
    const text = source.kind === 'inline' ? await inlineText(script, source.hash, signal) : undefined;
    if (source.kind === 'inline' && text === undefined) return undefined;
    const script_: ScriptSource = source.kind === 'inline' ? { kind: 'text', text: text ?? '' } : source;
    try {
      const result = await dispatch.compile({ script: script_, args, uid: entry.uid });
      entry.compiled = slimCompiled(result);
      entry.before = undefined;
      entry.compileKey = compileKey;
      entry.isForgotten = false;
    } catch (error) {
      // kept for the next try: the runtime may be away for long
      if (source.kind === 'inline' && text !== undefined) options.texts.put(source.hash, text);
      const message = error instanceof Error ? error.message : String(error);
      throw new ExternalError(`the runtime did not compile it: ${message}`, { cause: error });
    }
    return entry.compiled;
  }

  function schedule(script: SlimScript, spec: SlimSpec, plugin: PluginEntry, entry: ScriptEntry): void {
    const { namespace, name } = script.metadata;
    dispatch.set({
      schedule: scheduleOf({ uid: entry.uid, spec, disabled: plugin.isDisabled }),
      countedUntil: entry.record.countedUntil,
      run: {
        scriptHash: entry.compiled?.scriptHash ?? '',
        scriptName: `${namespace}/${name}`,
        pluginUid: plugin.uid,
        revision: plugin.revision,
        scope: namespace === options.namespace ? '*' : namespace,
        limits: {
          timeoutMs: parseDurationMs(spec.timeout ?? '30s') ?? 30_000,
          rowsMax: spec.maxRows ?? 100_000,
          watermarkWaitMs: WATERMARK_WAIT_MS,
        },
      },
    });
  }

  function runNow(script: SlimScript, entry: ScriptEntry): void {
    const token = script.runNow;
    if (token === undefined || token === entry.manual?.token || token === entry.manualRunning) return;
    const run = dispatch.runNow(entry.uid, token);
    if (run === undefined) return;
    entry.manualRunning = token;
    void finishManual(entry, run);
  }

  async function finishManual(entry: ScriptEntry, run: Promise<ManualRun>): Promise<void> {
    try {
      entry.manual = await run;
      options.onChange(entry);
    } catch (error) {
      options.onFault(`a manual run of ${entry.key}`, error);
    } finally {
      entry.manualRunning = undefined;
    }
  }

  return async (key, signal) => {
    const [namespace = '', name = ''] = key.split('/');
    const script = options.scripts.get(namespace, name);
    if (script === undefined || script.metadata.deletionTimestamp !== undefined) {
      const entry = entries.forget(key);
      if (entry !== undefined) gone(entry);
      return;
    }
    const { entry, replaced } = entries.open(key, script.metadata.uid);
    if (replaced !== undefined) gone(replaced);
    const { generation } = script.metadata;
    const { spec } = script;
    if (spec === undefined) {
      const fault = { reason: 'NotResolved', message: `this version does not take it: ${script.problem ?? ''}` };
      entry.view = { ...NO_VIEW, generation, sourceFault: fault };
      dispatch.hold(entry.uid);
      options.onChange(entry);
      return;
    }
    const found = pluginOf({ namespace, ref: spec.pluginRef }, options.plugin);
    const plugin = isFault(found) ? undefined : found;
    const pluginFault = isFault(found) ? found : plugin?.isPending === true ? PENDING : plugin?.fault;
    const source = sourceFor(script, spec);
    const sourceFault = isFault(source) ? source : undefined;
    entry.view = {
      generation,
      windowNs: scheduleOf({ uid: entry.uid, spec, disabled: false }).windowNs,
      suspended: spec.suspend ?? false,
      pluginKey: `${spec.pluginRef.namespace ?? namespace}/${spec.pluginRef.name}`,
      pluginUid: plugin?.uid,
      pluginFault,
      pluginDisabled: plugin?.isDisabled ?? false,
      sourceFault,
    };
    try {
      const compiled = isFault(source) ? undefined : await compiledOf(script, spec, source, entry, signal);
      const canRun = compiled !== undefined && compileFault(compiled) === undefined && pluginFault === undefined;
      if (canRun && plugin !== undefined) {
        schedule(script, spec, plugin, entry);
        runNow(script, entry);
      } else dispatch.hold(entry.uid);
    } finally {
      options.onChange(entry);
    }
  };
}

const NO_VIEW = {
  windowNs: 10_000_000_000n,
  suspended: false,
  pluginKey: '',
  pluginUid: undefined,
  pluginFault: undefined,
  pluginDisabled: false,
};

function compileKeyOf(source: Source, args: Readonly<Record<string, string>>): string {
  const id = source.kind === 'inline' ? source.hash : source.kind === 'preset' ? source.name : hashOfText(source.text);
  const sorted = Object.entries(args).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify([source.kind, id, sorted]))
    .digest('base64url')
    .slice(0, 22);
}
