// All manifests together -> what should be: each plugin with its resolved destination, each script (presets' included)
// with its plugin and text, or with what is missing. Pure.
import { createHash } from 'node:crypto';
import type { ExportScript } from '../crds/export-script.ts';
import { localUid, type KeyValues, type Manifests, type Named } from '../crds/manifest.ts';
import type { OtelPlugin } from '../crds/otel-plugin.ts';
import type { Fault } from '../crds/script-conditions.ts';
import type { ScriptSource } from '../model/run.ts';
import { parseDurationMs } from '../crds/duration.ts';
import type { ScriptSchedule } from '../schedule/script-state.ts';
import { ownedScripts } from './otelplugin/presets.ts';
import { resolveDestination, type KeyLookup, type Reader, type Resolution } from './otelplugin/resolve.ts';

export interface DesiredPlugin extends Named<OtelPlugin> {
  readonly resolution: Resolution;
  /** Changes whenever any resolved value does. In memory only: it is a hash of secrets. */
  readonly revision: string;
  readonly presets: Fault | undefined;
}

export interface DesiredScript extends Named<ExportScript> {
  readonly plugin: DesiredPlugin | undefined;
  readonly pluginFault: Fault | undefined;
  readonly source: ScriptSource | undefined;
  readonly sourceFault: Fault | undefined;
}

export interface Desired {
  readonly plugins: readonly DesiredPlugin[];
  readonly scripts: readonly DesiredScript[];
}

const lookupIn =
  (keyValues: readonly KeyValues[], namespace: string): KeyLookup =>
  (kind, name) =>
    keyValues.find((one) => one.kind === kind && one.namespace === namespace && one.name === name)?.values ?? 'absent';

/** Scripts of these names are somebody else's; they are never touched. */
export const nameTaken = (scripts: readonly string[], plugin: string): Fault => ({
  reason: 'NameTaken',
  message: `ExportScript ${scripts.join(', ')} exists and is not of plugin "${plugin}"; rename it`,
});

/**
 * A plugin with everything that it refers to. `taken`: names of scripts that its presets stand for and that are somebody
 * else's.
 */
export function desiredPlugin(
  named: Named<OtelPlugin>,
  lookup: KeyLookup,
  presetNames: readonly string[],
  taken: readonly string[],
  reader?: Reader,
): DesiredPlugin {
  const { object, name } = named;
  const resolution = resolveDestination(object, lookup, reader);
  const unknown = (object.spec.presets?.include ?? []).filter((preset) => !presetNames.includes(preset));
  const presets: Fault | undefined =
    unknown.length > 0
      ? {
          reason: 'PresetNotFound',
          message: `there is no preset ${unknown.join(', ')}; there are ${presetNames.join(', ')}`,
        }
      : taken.length > 0
        ? nameTaken(taken, name)
        : undefined;
  const revision = createHash('sha256').update(JSON.stringify(resolution)).digest('hex').slice(0, 16);
  return { ...named, resolution, revision, presets };
}

/** Where a script's text comes from: the object itself, a preset, or a ConfigMap of its namespace. */
export function sourceOf(
  { inline, preset, configMapKeyRef: ref }: ExportScript['spec']['script'],
  lookup: KeyLookup,
  presetNames: readonly string[],
): ScriptSource | Fault {
  if (inline !== undefined) return { kind: 'text', text: inline };
  if (preset !== undefined) {
    if (presetNames.includes(preset)) return { kind: 'preset', name: preset };
    return { reason: 'PresetNotFound', message: `there is no preset "${preset}"; there are ${presetNames.join(', ')}` };
  }
  const values = ref === undefined ? 'absent' : lookup('ConfigMap', ref.name);
  if (values === 'pending') return { reason: 'Pending', message: `ConfigMap "${ref?.name ?? ''}" is being read` };
  if (values === 'forbidden')
    return { reason: 'ConfigMapForbidden', message: `the operator may not read ConfigMap "${ref?.name ?? ''}"` };
  if (values === 'absent')
    return { reason: 'ConfigMapNotFound', message: `ConfigMap "${ref?.name ?? ''}" is not there; create it` };
  const text = values.get(ref?.key ?? '');
  if (text === undefined)
    return { reason: 'KeyNotFound', message: `ConfigMap "${ref?.name ?? ''}" has no key "${ref?.key ?? ''}"; add it` };
  return { kind: 'text', text: new TextDecoder().decode(text) };
}

/** A plugin that is missing and one that does not allow the script's namespace read the same. */
export function pluginOf<P extends Named<OtelPlugin>>(
  script: { readonly namespace: string; readonly ref: ExportScript['spec']['pluginRef'] },
  find: (namespace: string, name: string) => P | undefined,
): P | Fault {
  const { name, namespace = script.namespace } = script.ref;
  const found = find(namespace, name);
  const allowed =
    found !== undefined && (found.namespace === script.namespace || found.object.spec.allowedNamespaces === 'All');
  if (allowed) return found;
  return {
    reason: 'PluginNotFound',
    message: `there is no OtelPlugin "${namespace}/${name}" for this namespace; create it, or let it allow this one`,
  };
}

export const isFault = (value: object): value is Fault => 'reason' in value;

/** `presetNames`: the presets that ship with this build. */
export function desiredOf(all: Manifests, presetNames: readonly string[]): Desired {
  const takenBy = ({ object, namespace }: Named<OtelPlugin>): string[] =>
    ownedScripts(object, namespace)
      .map((script) => script.metadata.name)
      .filter((owned) => all.scripts.some((script) => script.namespace === namespace && script.name === owned));
  const plugins = all.plugins.map((plugin) =>
    desiredPlugin(plugin, lookupIn(all.keyValues, plugin.namespace), presetNames, takenBy(plugin)),
  );
  const find = (namespace: string, name: string): DesiredPlugin | undefined =>
    plugins.find((plugin) => plugin.namespace === namespace && plugin.name === name);
  const owned = plugins.flatMap((plugin) =>
    ownedScripts(plugin.object, plugin.namespace)
      .filter(({ spec }) => presetNames.includes(spec.script.preset ?? ''))
      .map((object) => ({
        uid: localUid('ExportScript', plugin.namespace, object.metadata.name),
        namespace: plugin.namespace,
        name: object.metadata.name,
        object,
        origin: plugin.origin,
      }))
      .filter((one) => !all.scripts.some((script) => script.uid === one.uid)),
  );
  const scripts = [...all.scripts, ...owned].map((script): DesiredScript => {
    const plugin = pluginOf({ namespace: script.namespace, ref: script.object.spec.pluginRef }, find);
    const source = sourceOf(script.object.spec.script, lookupIn(all.keyValues, script.namespace), presetNames);
    const pluginFault = isFault(plugin) ? plugin : plugin.resolution.ok ? undefined : plugin.resolution.fault;
    return {
      ...script,
      plugin: isFault(plugin) ? undefined : plugin,
      pluginFault,
      source: isFault(source) ? undefined : source,
      sourceFault: isFault(source) ? source : undefined,
    };
  });
  return { plugins, scripts };
}

const NS_PER_MS = 1_000_000n;
const ns = (duration: string): bigint => BigInt(parseDurationMs(duration) ?? 0) * NS_PER_MS;

/** The schedule's view of a script. `disabled`: its plugin is, which suspends its scripts. */
export const scheduleOf = ({
  uid,
  spec,
  disabled,
}: {
  readonly uid: string;
  readonly spec: Pick<ExportScript['spec'], 'window' | 'catchUp' | 'suspend'>;
  readonly disabled: boolean;
}): ScriptSchedule => ({
  uid,
  windowNs: ns(spec.window ?? '10s'),
  catchUp: { policy: spec.catchUp?.policy ?? 'All', maxAgeNs: ns(spec.catchUp?.maxAge ?? '15m') },
  suspend: (spec.suspend ?? false) || disabled,
});

/** The same of a script of `desiredOf`. */
export const scheduleOfDesired = ({ uid, object: { spec }, plugin }: DesiredScript): ScriptSchedule =>
  scheduleOf({ uid, spec, disabled: plugin?.object.spec.enabled === false });
