// The NetworkPolicies of runtime and collector. (The operator's own is static, config/manager: it must not depend on the
// operator, who would lock itself out of the API server by a policy that became wrong.) Kubelets' health probes come from
// the pod's node, which policies never refuse.
import { REFUSED_RANGES } from '../../model/refused-ranges.ts';
import { childOf, selectorLabels, workloadName, type Child, type Component, type Inputs } from './objects.ts';

const tcp = (port: number): object => ({ port, protocol: 'TCP' });
const podsOf = (component: Component): object => ({ podSelector: { matchLabels: selectorLabels(component) } });

/** Any address: a node-local cache has a link-local one. */
const DNS = { ports: [{ port: 53, protocol: 'UDP' }, tcp(53)] };

/** What the runtime refuses to connect to; the policy holds also where the runtime is broken. By family, as `except` must be within its range. */
const NEVER = REFUSED_RANGES.map(({ cidr }) => cidr);
const NEVER_V4 = NEVER.filter((cidr) => !cidr.includes(':'));
const NEVER_V6 = NEVER.filter((cidr) => cidr.includes(':'));

const metricsIngress = ({ settings: { network, ports } }: Inputs): object => ({
  from: [{ namespaceSelector: { matchLabels: network.metricsNamespaces } }],
  ports: [tcp(ports.metrics)],
});

/**
 * Any address on the API server's ports unless the settings name ranges: its address behind the Service is the cluster's
 * own business and may change, and a policy that misses it stops everything.
 */
const apiServer = ({ settings: { network } }: Inputs): object => ({
  ...(network.apiServerRanges.length === 0
    ? {}
    : { to: network.apiServerRanges.map((cidr) => ({ ipBlock: { cidr } })) }),
  ports: network.apiServerPorts.map(tcp),
});

/** To the receiver of our own telemetry: its name may mean any address, so only the port is fixed. */
const ownTelemetry = ({ settings: { telemetry } }: Inputs): object[] => {
  const port = /:([0-9]+)$/.exec(telemetry.endpoint)?.[1];
  return port === undefined ? [] : [{ ports: [tcp(Number(port))] }];
};

const policy = (inputs: Inputs, component: Component, ingress: object[], egress: object[]): Child => ({
  ...childOf(inputs, component, 'networking.k8s.io/v1', 'NetworkPolicy', workloadName(component)),
  spec: {
    podSelector: { matchLabels: selectorLabels(component) },
    policyTypes: ['Ingress', 'Egress'],
    ingress,
    egress,
  },
});

const collectorPolicy = (inputs: Inputs): Child =>
  policy(
    inputs,
    'collector',
    [{ from: [podsOf('runtime')], ports: [tcp(inputs.settings.ports.flight)] }, metricsIngress(inputs)],
    [DNS, apiServer(inputs), ...ownTelemetry(inputs)],
  );

/**
 * A destination may be any address that a user of OtelPlugins chooses, so egress is open but for NEVER; pods are named
 * apart, because some network plugins do not count them to address ranges.
 */
const runtimePolicy = (inputs: Inputs): Child =>
  policy(
    inputs,
    'runtime',
    [{ from: [podsOf('operator')], ports: [tcp(inputs.settings.ports.run)] }, metricsIngress(inputs)],
    [
      DNS,
      {
        to: [
          { namespaceSelector: {} },
          { ipBlock: { cidr: '0.0.0.0/0', except: NEVER_V4 } },
          { ipBlock: { cidr: '::/0', except: NEVER_V6 } },
          ...inputs.settings.runtime.allowedEndpointRanges.map((cidr) => ({ ipBlock: { cidr } })),
        ],
      },
    ],
  );

/** None where the settings switch them off. */
export const networkPolicies = (inputs: Inputs): Child[] =>
  inputs.settings.network.policies ? [runtimePolicy(inputs), collectorPolicy(inputs)] : [];
