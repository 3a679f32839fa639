// What the operator looks at before and while it works: its CRDs and its rights. Both may arrive later under GitOps, so what is
// missing is told in one line and in readiness, and looked at again.
import { definitionFault, EXPECTED_SCHEMA_HASHES } from '../../crds/definitions.ts';
import { missingRights } from '../../controllers/workloads/rights.ts';
import { CUSTOM_RESOURCE_DEFINITIONS } from '../../kube/resources.ts';
import { isNotFound, type KubeClient } from '../../kube/types.ts';
import type { Check } from '../../observe/health.ts';

export interface ClusterChecks {
  readonly crds: Check;
  readonly rights: Check;
}

export interface ChecksOptions {
  readonly client: Pick<KubeClient, 'get' | 'raw'>;
  readonly namespace: string;
  readonly watchNamespaces: readonly string[];
  readonly signal: AbortSignal;
  /** Called when an answer is another than before: `true`, or what is wrong. */
  readonly onAnswer: (what: 'crds' | 'rights', answer: true | string) => void;
}

const AGAIN_MS = 15_000;
/** CRDs may be changed under us at any time; rights too, but there are many questions to ask. */
const AGAIN_GOOD_MS = 300_000;

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function lookAtCrds(client: ChecksOptions['client'], signal: AbortSignal): Promise<true | string> {
  const faults: string[] = [];
  for (const name of Object.keys(EXPECTED_SCHEMA_HASHES)) {
    const crd = await client.get(CUSTOM_RESOURCE_DEFINITIONS, undefined, name, { signal }).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    const fault = definitionFault(name, crd);
    if (fault !== undefined) faults.push(fault);
  }
  return faults.length === 0 ? true : faults.join('; ');
}

async function lookAtRights({ client, namespace, watchNamespaces, signal }: ChecksOptions): Promise<true | string> {
  const missing = await missingRights(client, namespace, watchNamespaces, signal);
  return missing.length === 0 ? true : `rights are missing: ${missing.join(', ')}; apply config/rbac of this version`;
}

/** Looks at once and again until `signal` aborts; sooner where something is wrong. */
export function startChecks(options: ChecksOptions): ClusterChecks {
  const follow = (what: 'crds' | 'rights', look: () => Promise<true | string>): Check => {
    let answer: true | string = 'not looked at yet';
    let timer: NodeJS.Timeout | undefined;
    options.signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
    const again = async (): Promise<void> => {
      const next = await look().catch((error: unknown) => `the API server does not answer: ${textOf(error)}`);
      if (options.signal.aborted) return;
      if (next !== answer) options.onAnswer(what, next);
      answer = next;
      timer = setTimeout(() => void again(), next === true ? AGAIN_GOOD_MS : AGAIN_MS).unref();
    };
    void again();
    return () => answer;
  };
  return {
    crds: follow('crds', () => lookAtCrds(options.client, options.signal)),
    rights: follow('rights', () => lookAtRights(options)),
  };
}
