// One OtelPlugin: gathers the values that it refers to, gives the destination to the runtimes, and keeps the ExportScripts
// that its presets stand for. Level-triggered.
import { API_VERSION } from '../../crds/parts.ts';
import type { OtelPlugin } from '../../crds/otel-plugin.ts';
import type { Fault } from '../../crds/script-conditions.ts';
import { applyOwned, deleteOwned } from '../../kube/ownership.ts';
import type { KubeClient, KubeObject, ResourceType, Store } from '../../kube/types.ts';
import { desiredPlugin, nameTaken } from '../desired.ts';
import type { Dispatch } from '../dispatch/contract.ts';
import type { SlimScript } from '../exportscript/ingest.ts';
import type { References } from '../references.ts';
import type { PluginEntry } from './entries.ts';
import type { SlimPlugin } from './ingest.ts';
import type { ReconcileResult } from '../../kube/controller.ts';
import { ownedScriptName } from './presets.ts';
import { referencesOf, type Reader } from './resolve.ts';

export interface PluginReconcileOptions {
  readonly plugins: Pick<Store<SlimPlugin>, 'get'>;
  readonly scripts: Pick<Store<SlimScript>, 'get' | 'by'>;
  /** By `namespace/name`. */
  readonly entries: Map<string, PluginEntry>;
  readonly references: References;
  readonly client: Pick<KubeClient, 'get' | 'apply' | 'delete'>;
  readonly scriptType: ResourceType;
  readonly pluginType: ResourceType;
  readonly dispatch: Pick<Dispatch, 'putDestination' | 'removeDestination'>;
  readonly presetNames: readonly string[];
  /** The operator's own, for the commands that let it read a Secret. */
  readonly operatorNamespace: string;
  /** What scripts see of it has changed, or it is gone. */
  readonly onChange: (key: string, entry: PluginEntry | undefined) => void;
  readonly onGone: (entry: PluginEntry) => void;
  readonly onFault: (what: string, error: unknown) => void;
}

/** The index of `scripts` by the uid of the plugin that controls them. */
export const BY_OWNER = 'owner';

export const pluginUser = (key: string): string => `otelplugin/${key}`;

/** How long a destination whose plugin was deleted may still take what waits for it (design.md section 5, Deletion). */
export const REMOVE_GRACE_MS = 30_000;

/** Presets that could not be written are tried again. */
const PRESETS_AGAIN_MS = 15_000;

export const ownerOf = ({ metadata }: KubeObject): string[] =>
  (metadata.ownerReferences ?? [])
    .filter(({ controller, kind }) => controller === true && kind === 'OtelPlugin')
    .map(({ uid }) => uid);

export function createPluginReconcile(
  options: PluginReconcileOptions,
): (key: string, signal: AbortSignal) => Promise<ReconcileResult> {
  const { entries, dispatch } = options;
  /** Revision that the runtimes have, by uid. */
  const given = new Map<string, string>();

  function gone(entry: PluginEntry): void {
    entries.delete(entry.key);
    given.delete(entry.uid);
    options.references.release(pluginUser(entry.key));
    dispatch
      .removeDestination(entry.uid, REMOVE_GRACE_MS)
      .catch((error: unknown) => options.onFault(`removing the destination of ${entry.key}`, error));
    options.onGone(entry);
    options.onChange(entry.key, undefined);
  }

  /** Names of scripts that the presets stand for and that this plugin does not control: never touched. */
  const takenNames = (namespace: string, wanted: readonly string[], uid: string): string[] =>
    wanted.filter((name) => {
      const there = options.scripts.get(namespace, name);
      return there !== undefined && !ownerOf(there).includes(uid);
    });

  /** Creates what is missing, takes away what is no longer included; where a name turns out to be taken, says so. */
  async function syncPresets(plugin: SlimPlugin, object: OtelPlugin, signal: AbortSignal): Promise<Fault | undefined> {
    const { namespace, name, uid } = plugin.metadata;
    const presets = (object.spec.presets?.include ?? []).filter((preset) => options.presetNames.includes(preset));
    const wanted = new Map(presets.map((preset) => [ownedScriptName(name, preset), preset]));
    const owner = { type: options.pluginType, object: plugin };
    try {
      for (const [script, preset] of wanted) {
        const observed = options.scripts.get(namespace, script);
        const { script: source, pluginRef } = observed?.spec ?? {};
        if (source?.preset === preset && pluginRef?.name === name) continue;
        const written = await applyOwned(options.client, options.scriptType, {
          owner,
          intended: ownedScript(namespace, name, script, preset),
          observed,
          fieldManager: 'sluice-presets',
          signal,
        });
        if (written.status === 'not-ours') return nameTaken([script], name);
      }
      for (const script of options.scripts.by(BY_OWNER, uid)) {
        if (wanted.has(script.metadata.name) || script.metadata.deletionTimestamp !== undefined) continue;
        await deleteOwned(options.client, options.scriptType, plugin, script, signal);
      }
      return undefined;
    } catch (error) {
      options.onFault(`the presets of ${namespace}/${name}`, error);
      return { reason: 'NotSynced', message: error instanceof Error ? error.message : String(error) };
    }
  }

  return async (key, signal) => {
    const [namespace = '', name = ''] = key.split('/');
    const plugin = options.plugins.get(namespace, name);
    const before = entries.get(key);
    const uid = plugin?.metadata.uid;
    if (before !== undefined && before.uid !== uid) gone(before);
    if (plugin === undefined || uid === undefined || plugin.metadata.deletionTimestamp !== undefined) {
      if (before !== undefined && before.uid === uid) gone(before);
      return { status: 'done' };
    }
    const entry = await gather(plugin, key, signal);
    entries.set(key, entry);
    if (!entry.isPending && entry.fault === undefined && given.get(uid) !== entry.revision) {
      await give(entry);
    }
    options.onChange(key, entry);
    return entry.presets?.reason === 'NotSynced'
      ? { status: 'requeue', afterMs: PRESETS_AGAIN_MS }
      : { status: 'done' };
  };

  async function gather(plugin: SlimPlugin, key: string, signal: AbortSignal): Promise<PluginEntry> {
    const { namespace, name, uid, generation } = plugin.metadata;
    const { object } = plugin;
    if (object === undefined) {
      const fault = { reason: 'NotResolved', message: `this version does not take it: ${plugin.problem ?? ''}` };
      return { ...invalid(plugin, key), fault };
    }
    const lookup = options.references.use(pluginUser(key), namespace, referencesOf(object.spec));
    const names = (object.spec.presets?.include ?? []).map((preset) => ownedScriptName(name, preset));
    const reader: Reader = { namespace, operatorNamespace: options.operatorNamespace };
    const named = {
      uid,
      namespace,
      name,
      object: { ...object, metadata: { ...object.metadata, generation } },
      origin: NO_ORIGIN,
    };
    const desired = desiredPlugin(named, lookup, options.presetNames, takenNames(namespace, names, uid), reader);
    const { resolution } = desired;
    const synced = await syncPresets(plugin, object, signal);
    return {
      ...desired,
      key,
      isPending: !resolution.ok && resolution.fault.reason === 'Pending',
      isDisabled: object.spec.enabled === false,
      fault: resolution.ok ? undefined : resolution.fault,
      condition: resolution.ok ? undefined : resolution.condition,
      presets: desired.presets ?? synced,
      destination: resolution.ok ? resolution.destination : undefined,
    };
  }

  async function give({ uid, revision, destination }: PluginEntry): Promise<void> {
    if (destination === undefined) return;
    await dispatch.putDestination(uid, revision, destination);
    given.set(uid, revision);
  }
}

const NO_ORIGIN = { file: '', line: 0 };

/** A plugin that is there and was not looked at yet: its scripts wait for it, it is not missing. */
export const pendingPlugin = (plugin: SlimPlugin): PluginEntry => {
  const { namespace, name } = plugin.metadata;
  const entry = invalid(plugin, `${namespace}/${name}`);
  return { ...entry, object: plugin.object ?? entry.object, isPending: true, fault: undefined };
};

/** One that nobody can say of whether it is there, nor whom it allows: its namespace cannot be read. */
export const unreadPlugin = (namespace: string, name: string): PluginEntry => {
  const metadata = { namespace, name, uid: '', generation: 0 };
  const plugin = { metadata, object: undefined, problem: undefined, conditions: '', conditionsHash: '' };
  const { object, ...entry } = invalid(plugin, `${namespace}/${name}`);
  const open = { ...object, spec: { ...object.spec, allowedNamespaces: 'All' } } as const;
  return { ...entry, object: open, isPending: true, fault: undefined };
};

/** Of an object that this build does not take. */
function invalid(plugin: SlimPlugin, key: string): Omit<PluginEntry, 'fault'> {
  const { namespace, name, uid, generation } = plugin.metadata;
  const metadata = { name, namespace, uid, generation };
  return {
    uid,
    namespace,
    name,
    key,
    origin: NO_ORIGIN,
    object: { apiVersion: API_VERSION, kind: 'OtelPlugin', metadata, spec: { destination: { type: 'Console' } } },
    isPending: false,
    isDisabled: false,
    revision: '',
    condition: 'credentials',
    presets: undefined,
    destination: undefined,
  };
}

/** What we own of a preset's script: users may set window and suspend beside it. */
function ownedScript(namespace: string, plugin: string, name: string, preset: string): KubeObject {
  const object = {
    apiVersion: API_VERSION,
    kind: 'ExportScript',
    metadata: {
      name,
      namespace,
      labels: { 'app.kubernetes.io/managed-by': 'sluice-operator', 'app.kubernetes.io/part-of': 'sluice' },
    },
    spec: { pluginRef: { name: plugin }, script: { preset } },
  };
  return object;
}
