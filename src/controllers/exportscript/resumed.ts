// What the statuses in the API server say when a leader begins: totals and history go on from there. Read live and page by
// page; ten thousand statuses are never held at once, only the records made of them.
import { packConditions } from '../../crds/condition-memory.ts';
import type { ExportScriptStatus } from '../../crds/status.ts';
import type { KubeObject } from '../../kube/types.ts';
import type { ScriptEntry } from './entries.ts';
import { urgentKeyOf } from './publish.ts';
import type { Diagnostic } from '../../model/diagnostic.ts';
import { isScriptStatus, resumeRecord } from './resume.ts';

export interface ResumedScript {
  /** `namespace/name`. */
  readonly key: string;
  readonly entry: Partial<ScriptEntry>;
  /** Of the status as it is written. */
  readonly urgentKey: string;
}

/** Only that there are some is told in a status. */
const WARNING: Diagnostic = { code: '', severity: 'warning', message: '', line: 1, column: 1 };

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

function manualOf(status: unknown): ScriptEntry['manual'] {
  const last = isRecord(status) ? status['lastManualRun'] : undefined;
  if (!isRecord(last)) return undefined;
  const { token, outcome } = last;
  return typeof token === 'string' && typeof outcome === 'string' ? { token, outcome } : undefined;
}

/** `compiled` undefined: it did not compile. */
function beforeOf({ conditions, scriptHash }: ExportScriptStatus): ScriptEntry['before'] {
  const said = conditions.find(({ type }) => type === 'Compiled');
  if (said === undefined || said.status === 'Unknown') return undefined;
  const { observedGeneration: generation } = said;
  const warnings = said.reason === 'CompiledWithWarnings' ? [WARNING] : [];
  return {
    generation,
    compiled: said.status === 'True' ? { scriptHash, outputs: [], diagnostics: warnings } : undefined,
  };
}

/** Undefined where the status is none that an operator of ours wrote: it is better forgotten than believed. */
export function resumedOf({ metadata, ...object }: KubeObject): ResumedScript | undefined {
  const status: unknown = Reflect.get(object, 'status');
  if (!isScriptStatus(status)) return undefined;
  return {
    key: `${metadata.namespace ?? ''}/${metadata.name}`,
    entry: {
      record: resumeRecord(status),
      conditions: packConditions(status.conditions),
      before: beforeOf(status),
      deliveredUntil: status.deliveredUntil,
      manual: manualOf(status),
    },
    urgentKey: urgentKeyOf(status),
  };
}
