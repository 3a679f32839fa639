// NetworkPolicies as a network plugin reads them (networking.k8s.io/v1), for TCP connections between pods, and from pods to
// addresses: which rules allow one. No plugin enforces them in the test cluster; this looks at the objects.

type Labels = Readonly<Record<string, string>>;

export interface Selector {
  readonly matchLabels?: Labels;
}

export interface Peer {
  readonly podSelector?: Selector;
  readonly namespaceSelector?: Selector;
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
}

export interface PolicyRule {
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
  readonly ports?: readonly { readonly port?: number; readonly protocol?: string }[];
}

export interface NetworkPolicy {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: {
    readonly podSelector: Selector;
    readonly policyTypes?: readonly string[];
    readonly ingress?: readonly PolicyRule[];
    readonly egress?: readonly PolicyRule[];
  };
}

/** A pod, or an address that is none's. */
export interface Place {
  readonly address: string;
  readonly pod?: { readonly name: string; readonly namespace: string; readonly labels: Labels };
  /** Of the pod's namespace. */
  readonly namespaceLabels?: Labels;
}

export interface Connection {
  readonly direction: 'ingress' | 'egress';
  readonly of: Place;
  readonly peer: Place;
  /** The server's. */
  readonly port: number;
}

const selects = ({ matchLabels = {} }: Selector, labels: Labels = {}): boolean =>
  Object.entries(matchLabels).every(([name, value]) => labels[name] === value);

const ipv4 = (address: string): number | undefined =>
  /^\d+\.\d+\.\d+\.\d+$/.test(address)
    ? address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
    : undefined;

/** IPv4 only: the test cluster has no other. */
function isIn(address: string, cidr: string): boolean {
  const [base = '', bits = '32'] = cidr.split('/');
  const [a, b] = [ipv4(address), ipv4(base)];
  if (a === undefined || b === undefined) return false;
  const size = 2 ** (32 - Number(bits));
  return Math.floor(a / size) === Math.floor(b / size);
}

function isPeer(peer: Peer, place: Place, policyNamespace: string): boolean {
  const { ipBlock, podSelector, namespaceSelector } = peer;
  if (ipBlock !== undefined)
    return isIn(place.address, ipBlock.cidr) && !(ipBlock.except ?? []).some((cidr) => isIn(place.address, cidr));
  if (place.pod === undefined) return false;
  const isNamespace =
    namespaceSelector === undefined
      ? place.pod.namespace === policyNamespace
      : selects(namespaceSelector, place.namespaceLabels);
  return isNamespace && (podSelector === undefined || selects(podSelector, place.pod.labels));
}

export interface NamedRule {
  /** `sluice-runtime egress 1`. */
  readonly name: string;
  readonly rule: PolicyRule;
}

/** Every rule of the policies, by a name of its own. */
export const rulesOf = ({ metadata, spec }: NetworkPolicy): NamedRule[] =>
  (['ingress', 'egress'] as const).flatMap((direction) =>
    (spec[direction] ?? []).map((rule, i) => ({ name: `${metadata.name} ${direction} ${i}`, rule })),
  );

/**
 * Names of the rules that allow the connection. `isolated` false: no policy selects the pod in that direction, so everything is
 * allowed.
 */
export function allowing(
  policies: readonly NetworkPolicy[],
  { direction, of, peer, port }: Connection,
): { readonly isolated: boolean; readonly rules: readonly string[] } {
  const type = direction === 'ingress' ? 'Ingress' : 'Egress';
  const selecting = policies.filter(
    ({ metadata, spec }) =>
      of.pod !== undefined &&
      metadata.namespace === of.pod.namespace &&
      (spec.policyTypes ?? ['Ingress']).includes(type) &&
      selects(spec.podSelector, of.pod.labels),
  );
  const rules = selecting.flatMap((policy) =>
    rulesOf(policy)
      .filter(({ name, rule }) => {
        if (!name.startsWith(`${policy.metadata.name} ${direction} `)) return false;
        const peers = direction === 'ingress' ? rule.from : rule.to;
        const isAllowedPeer = peers === undefined || peers.some((one) => isPeer(one, peer, policy.metadata.namespace));
        const isAllowedPort =
          rule.ports === undefined ||
          rule.ports.some((one) => (one.protocol ?? 'TCP') === 'TCP' && (one.port === undefined || one.port === port));
        return isAllowedPeer && isAllowedPort;
      })
      .map(({ name }) => name),
  );
  return { isolated: selecting.length > 0, rules };
}
