// An ExportScript from the API server -> what the operator keeps of it: no script text, no status but a memory of its
// conditions. Ten thousand of them are held. Pure.
import { createHash } from 'node:crypto';
import { packConditions, hashConditions } from '../../crds/condition-memory.ts';
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
  /** `packConditions` and `hashConditions` of its status. */
  readonly conditions: string;
  readonly conditionsHash: string;
}

/** Texts on their way from a watch to the compiler; whose text was dropped is read from the API server again. */
export interface ScriptTexts {
  put(hash: string, text: string): void;
  take(hash: string): string | undefined;
}

/** Keeps up to `charsMax` characters, the oldest are dropped first. */
export function createScriptTexts(charsMax = 16 * 2 ** 20): ScriptTexts {
  const texts = new Map<string, string>();
  let chars = 0;
  const drop = (hash: string): void => {
    chars -= texts.get(hash)?.length ?? 0;
    texts.delete(hash);
  };
  return {
    put(hash, text) {
      drop(hash);
      texts.set(hash, text);
      chars += text.length;
      for (const oldest of texts.keys()) {
        if (chars <= charsMax) break;
        drop(oldest);
      }
    },
    take(hash) {
      const text = texts.get(hash);
      drop(hash);
      return text;
    },
  };
}

export const hashOfText = (text: string): string => createHash('sha256').update(text).digest('base64url');

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

const slimOwner = ({ apiVersion, kind, name, uid, controller }: OwnerReference): OwnerReference => ({
  apiVersion,
  kind,
  name,
  uid,
  ...(controller === undefined ? {} : { controller }),
});

/** @param object as the API server gave it; whatever it is, the result can be kept and shown. */
export function slimScript(object: KubeObject, texts: ScriptTexts): SlimScript {
  const { metadata } = object;
  const checked = validateExportScript({ ...object, status: undefined });
  const status: unknown = Reflect.get(object, 'status');
  const conditions: unknown = isRecord(status) ? status['conditions'] : undefined;
  const token = metadata.annotations?.[RUN_NOW];
  const { namespace = '', uid = '', generation = 1, resourceVersion = '', creationTimestamp = '' } = metadata;
  return {
    metadata: {
      name: metadata.name,
      namespace,
      uid,
      generation,
      resourceVersion,
      creationTimestamp,
      ...(metadata.deletionTimestamp === undefined ? {} : { deletionTimestamp: metadata.deletionTimestamp }),
      ...(metadata.ownerReferences === undefined ? {} : { ownerReferences: metadata.ownerReferences.map(slimOwner) }),
    },
    spec: checked.ok ? slimSpec(checked.value.spec, texts) : undefined,
    problem: checked.ok ? undefined : problemText(checked.problems),
    runNow: token === undefined || token === '' ? undefined : token.slice(0, TOKEN_CHARS_MAX),
    conditions: packConditions(conditions),
    conditionsHash: hashConditions(conditions),
  };
}

function slimSpec(spec: ExportScriptSpec, texts: ScriptTexts): SlimSpec {
  const { inline, ...script } = spec.script;
  if (inline === undefined) return { ...spec, script };
  const inlineHash = hashOfText(inline);
  texts.put(inlineHash, inline);
  return { ...spec, script: { inlineHash } };
}
