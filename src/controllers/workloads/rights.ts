// What each role may do in the API: the same rules as config/rbac (a test holds the two together), as data for the operator's
// look at its own rights. Operator rules X1–X7.
import type { KubeClient } from '../../kube/types.ts';
import { CA_SECRET, COMPONENTS, tlsSecretName, workloadName } from './objects.ts';

/** rbac.authorization.k8s.io/v1 PolicyRule. */
export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

const rule = (group: string, resources: string, verbs: string, resourceNames?: readonly string[]): Rule => ({
  apiGroups: [group],
  resources: resources.split(' '),
  ...(resourceNames === undefined ? {} : { resourceNames }),
  verbs: verbs.split(' '),
});

const FOLLOW = 'list watch';
const READ = `get ${FOLLOW}`;
const OURS = 'sluice.dev';
const PODS_OF = [workloadName('runtime'), workloadName('collector')];
const CHECKPOINTS = Array.from('0123456789abcdef', (digit) => `sluice-checkpoint-${digit}`);

/** Where users' objects are: cluster-wide, or in each watched namespace. */
const WATCHED_RULES: readonly Rule[] = [
  rule(OURS, 'otelplugins', FOLLOW),
  rule(OURS, 'exportscripts', READ),
  rule(OURS, 'otelplugins/status exportscripts/status', 'patch'),
  // the ExportScripts of a plugin's presets
  rule(OURS, 'exportscripts', 'create patch delete'),
  // an owner reference that blocks the owner's deletion, where OwnerReferencesPermissionEnforcement is on
  rule(OURS, 'otelplugins/finalizers', 'update'),
  // texts of scripts, certificates of destinations
  rule('', 'configmaps', READ),
  rule('events.k8s.io', 'events', 'create patch'),
];

/** What only a cluster-wide binding can give. */
const CLUSTER_RULES: readonly Rule[] = [
  rule('', 'nodes', FOLLOW),
  rule('apiextensions.k8s.io', 'customresourcedefinitions', 'get', [`exportscripts.${OURS}`, `otelplugins.${OURS}`]),
];

/** In the operator's own namespace. Server-side apply asks for `create` on the object's name (KEP-555), so names suffice. */
const OWN_RULES: readonly Rule[] = [
  rule('apps', 'daemonsets statefulsets', READ),
  rule('apps', 'daemonsets statefulsets', 'create patch delete', PODS_OF),
  rule('', 'services', READ),
  rule('', 'services', 'create patch delete', PODS_OF),
  rule('networking.k8s.io', 'networkpolicies', READ),
  rule('networking.k8s.io', 'networkpolicies', 'create patch delete', PODS_OF),
  rule('policy', 'poddisruptionbudgets', READ),
  rule('policy', 'poddisruptionbudgets', 'create patch delete', [workloadName('runtime')]),
  rule('apps', 'deployments', FOLLOW, [workloadName('operator')]),
  rule('apps', 'deployments/finalizers', 'update', [workloadName('operator')]),
  rule('', 'secrets', READ),
  rule('', 'secrets', 'create patch', [CA_SECRET, ...COMPONENTS.map(tlsSecretName)]),
  rule('', 'pods', `${FOLLOW} delete`),
  // a POST has no name to be held to
  rule('', 'configmaps', 'create'),
  rule('', 'configmaps', 'get update', CHECKPOINTS),
  rule('events.k8s.io', 'events', 'create patch'),
];

const LEADER_RULES: readonly Rule[] = [
  rule('coordination.k8s.io', 'leases', 'create'),
  rule('coordination.k8s.io', 'leases', 'get update', [workloadName('operator')]),
];

/** By the name of the Role or ClusterRole in config/rbac. */
export const RIGHTS = {
  /** Bound cluster-wide by default, in each watched namespace by config/namespaced. */
  'sluice-operator-watched': WATCHED_RULES,
  'sluice-operator-cluster': CLUSTER_RULES,
  'sluice-operator': OWN_RULES,
  'sluice-operator-leader': LEADER_RULES,
  'sluice-collector': [rule('', 'pods services', 'list watch')],
  'sluice-runtime': [rule('', 'pods', READ), rule('discovery.k8s.io', 'endpointslices', READ)],
} as const satisfies Readonly<Record<string, readonly Rule[]>>;

interface Question {
  readonly namespace: string | undefined;
  readonly group: string;
  readonly resource: string;
  readonly subresource: string | undefined;
  readonly name: string | undefined;
  readonly verb: string;
}

function questionsOf(rules: readonly Rule[], namespace: string | undefined): Question[] {
  return rules.flatMap(({ apiGroups, resources, resourceNames, verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((path) => {
        const [resource = '', subresource] = path.split('/');
        // names of one rule stand and fall together
        return verbs.map((verb) => ({ namespace, group, resource, subresource, name: resourceNames?.[0], verb }));
      }),
    ),
  );
}

const textOf = ({ namespace, group, resource, subresource, name, verb }: Question): string => {
  const kind = `${resource}${subresource === undefined ? '' : `/${subresource}`}${group === '' ? '' : `.${group}`}`;
  return `${verb} ${kind}${name === undefined ? '' : ` "${name}"`}${namespace === undefined ? '' : ` in namespace ${namespace}`}`;
};

async function isAllowed(client: Pick<KubeClient, 'raw'>, question: Question, signal?: AbortSignal): Promise<boolean> {
  const { namespace, group, resource, subresource, name, verb } = question;
  const answer: unknown = await client.raw(
    'POST',
    '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
    {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes: { namespace, group, resource, subresource, name, verb } },
    },
    signal === undefined ? {} : { signal },
  );
  const status: unknown = typeof answer === 'object' && answer !== null ? Reflect.get(answer, 'status') : undefined;
  return typeof status === 'object' && status !== null && Reflect.get(status, 'allowed') === true;
}

/** How many questions are asked at once. */
const ASKED_AT_ONCE = 8;

/**
 * The rights that the operator should have and the API server says it has not: `patch daemonsets.apps "sluice-collector" in
 * namespace sluice-system`. Some 70 small requests; rejects where the API server cannot be asked.
 */
export async function missingRights(
  client: Pick<KubeClient, 'raw'>,
  namespace: string,
  watchNamespaces: readonly string[],
  signal?: AbortSignal,
): Promise<string[]> {
  const watched = watchNamespaces.length === 0 ? [undefined] : watchNamespaces;
  const questions = [
    ...watched.flatMap((where) => questionsOf(WATCHED_RULES, where)),
    ...questionsOf(CLUSTER_RULES, undefined),
    ...questionsOf([...OWN_RULES, ...LEADER_RULES], namespace),
  ];
  const missing: string[] = [];
  for (let i = 0; i < questions.length; i += ASKED_AT_ONCE) {
    const asked = questions.slice(i, i + ASKED_AT_ONCE);
    const answers = await Promise.all(asked.map((question) => isAllowed(client, question, signal)));
    missing.push(...asked.filter((_, at) => answers[at] !== true).map(textOf));
  }
  return missing;
}
