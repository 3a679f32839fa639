// An ExportScript from the API server -> what the operator keeps of it: no script text, no status but a hash of its
// conditions. Ten thousand of them are held, and what is the same in many is held once.
import { hash as hashOf } from 'node:crypto';
import { hashConditions } from '../../crds/condition-memory.ts';
import type { ExportScriptSpec } from '../../crds/export-script.ts';
import { problemText, validateExportScript } from '../../crds/validate.ts';
import type { KubeObject, OwnerReference } from '../../kube/types.ts';

/** Asks for a manual run; the value is a token of the user's choice. */
export const RUN_NOW = 'sluice.dev/run-now';
const TOKEN_CHARS_MAX = 128;

export interface SlimSpec extends Omit<ExportScriptSpec, 'script'> {
  readonly script: Pick<ExportScriptSpec['script'], 'preset' | 'configMapKeyRef'> & {
    /** sha256 of the inline text. */
    readonly inlineHash?: string;
  };
}

export interface SlimScript extends KubeObject {
  readonly metadata: KubeObject['metadata'] & {
    readonly namespace: string;
    readonly uid: string;
    readonly generation: number;
  };
  /** Undefined where this build does not take it, though the API server did (a CRD that is older than the operator). */
  readonly spec: SlimSpec | undefined;
  readonly problem: string | undefined;
  readonly runNow: string | undefined;
  /** `hashConditions` of its status; empty where it has none. */
  readonly conditionsHash: string;
}

/** Texts on their way to the compiler; whose text is not here is read from the API server again. */
export interface ScriptTexts {
  /** Only who leads compiles: until `open` nothing is kept, and after `close`. */
  open(): void;
  close(): void;
  put(hash: string, text: string): void;
  has(hash: string): boolean;
  take(hash: string): string | undefined;
}

/** Keeps up to `charsMax` characters, the oldest are dropped first. */
export function createScriptTexts(charsMax = 16 * 2 ** 20): ScriptTexts {
  const texts = new Map<string, string>();
  let chars = 0;
  let isOpen = false;
  const drop = (hash: string): void => {
    chars -= texts.get(hash)?.length ?? 0;
    texts.delete(hash);
  };
  return {
    open() {
      isOpen = true;
    },
    close() {
      isOpen = false;
      texts.clear();
      chars = 0;
    },
    put(hash, text) {
      if (!isOpen) return;
      drop(hash);
      texts.set(hash, text);
      chars += text.length;
      for (const oldest of texts.keys()) {
        if (chars <= charsMax) break;
        drop(oldest);
      }
    },
    has: (hash) => texts.has(hash),
    take(hash) {
      const text = texts.get(hash);
      drop(hash);
      return text;
    },
  };
}

export const hashOfText = (text: string): string => hashOf('sha256', text, 'base64url');

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

const slimOwner = ({ apiVersion, kind, name, uid, controller }: OwnerReference): OwnerReference => ({
  apiVersion,
  kind,
  name,
  uid,
  ...(controller === undefined ? {} : { controller }),
});

/**
 * @param object as the API server gave it; whatever it is, the result can be kept and shown.
 * @param before what is kept of that name. A generation has one spec: it is not looked at again, nor its text put, when only a
 * status has changed.
 */
export function slimScript(object: KubeObject, texts: ScriptTexts, before?: SlimScript): SlimScript {
  const { metadata } = object;
  const known =
    before !== undefined && before.metadata.uid === metadata.uid && before.metadata.generation === metadata.generation
      ? before
      : undefined;
  const { spec, problem } = known ?? specOf(object, texts, before);
  const status: unknown = Reflect.get(object, 'status');
  const conditions: unknown = isRecord(status) ? status['conditions'] : undefined;
  const token = metadata.annotations?.[RUN_NOW];
  const { name, namespace = '', uid = '', generation = 1 } = known?.metadata ?? metadata;
  return {
    metadata: {
      name,
      namespace,
      uid,
      generation,
      resourceVersion: metadata.resourceVersion ?? '',
      ...(metadata.deletionTimestamp === undefined ? {} : { deletionTimestamp: metadata.deletionTimestamp }),
      ...(metadata.ownerReferences === undefined ? {} : { ownerReferences: metadata.ownerReferences.map(slimOwner) }),
    },
    spec,
    problem,
    runNow: token === undefined || token === '' ? undefined : token.slice(0, TOKEN_CHARS_MAX),
    conditionsHash: Array.isArray(conditions) && conditions.length > 0 ? hashConditions(conditions) : '',
  };
}

function specOf(
  object: KubeObject,
  texts: ScriptTexts,
  before: SlimScript | undefined,
): Pick<SlimScript, 'spec' | 'problem'> {
  const checked = validateExportScript({ ...object, status: undefined });
  if (!checked.ok) return { spec: undefined, problem: problemText(checked.problems) };
  const { spec } = checked.value;
  const { script, ...others } = spec;
  const { inline, ...named } = script;
  const rest = shareMembers(others);
  if (inline === undefined) return { spec: { ...rest, script: named }, problem: undefined };
  const inlineHash = hashOfText(inline);
  if (before?.spec?.script.inlineHash !== inlineHash) texts.put(inlineHash, inline);
  return { spec: { ...rest, script: { inlineHash } }, problem: undefined };
}

const SHARED_MAX = 1000;
const shared = new Map<string, unknown>();

/** The same object with members that others have, too: plugin, window, catch-up and the like differ little among thousands. */
function shareMembers<T extends object>(object: T): T {
  const members = Object.entries(object).map(([name, value]: [string, unknown]) => {
    if (typeof value !== 'string' && !isRecord(value)) return [name, value];
    const key = JSON.stringify(value);
    const known = shared.get(key);
    if (known !== undefined) return [name, known];
    if (shared.size >= SHARED_MAX) shared.clear();
    shared.set(key, value);
    return [name, value];
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the same members with equal values
  return Object.fromEntries(members) as T;
}

/** The text of an inline script in an object that the API server gave. */
export function inlineTextOf(object: KubeObject): string | undefined {
  const spec: unknown = Reflect.get(object, 'spec');
  const script = isRecord(spec) ? spec['script'] : undefined;
  const inline = isRecord(script) ? script['inline'] : undefined;
  return typeof inline === 'string' ? inline : undefined;
}
