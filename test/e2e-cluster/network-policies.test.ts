import { expect, test } from '@jest/globals';
import { allowing, type Connection, type NetworkPolicy, type Place } from './network-policies.ts';

const labels = (component: string) => ({ component });
const pod = (name: string, namespace = 'system', address = '10.0.0.1'): Place => ({
  address,
  pod: { name, namespace, labels: labels(name) },
  namespaceLabels: namespace === 'monitoring' ? { scrape: 'yes' } : {},
});
const policy: NetworkPolicy = {
  metadata: { name: 'runtime', namespace: 'system' },
  spec: {
    podSelector: { matchLabels: labels('runtime') },
    policyTypes: ['Ingress', 'Egress'],
    ingress: [
      { from: [{ podSelector: { matchLabels: labels('operator') } }], ports: [{ port: 7443, protocol: 'TCP' }] },
      { from: [{ namespaceSelector: { matchLabels: { scrape: 'yes' } } }], ports: [{ port: 9090 }] },
    ],
    egress: [
      { ports: [{ port: 53, protocol: 'UDP' }] },
      { to: [{ ipBlock: { cidr: '0.0.0.0/0', except: ['169.254.0.0/16'] } }] },
    ],
  },
};
const runtime = pod('runtime');
const rules = (more: Partial<Connection>): readonly string[] =>
  allowing([policy], { direction: 'ingress', of: runtime, peer: pod('operator'), port: 7443, ...more }).rules;

test('a rule allows its peers on its ports and nobody else', () => {
  expect(rules({})).toEqual(['runtime ingress 0']);
  expect(rules({ port: 7444 })).toEqual([]);
  expect(rules({ peer: pod('other') })).toEqual([]);
  expect(rules({ peer: pod('operator', 'elsewhere') })).toEqual([]);
  expect(rules({ peer: pod('any', 'monitoring'), port: 9090 })).toEqual(['runtime ingress 1']);
});

test('addresses are allowed but for the exceptions, and UDP ports say nothing of TCP', () => {
  const egress = (address: string) => rules({ direction: 'egress', peer: { address }, port: 53 });
  expect(egress('10.9.8.7')).toEqual(['runtime egress 1']);
  expect(egress('169.254.169.254')).toEqual([]);
});

test('a pod that no policy selects is not isolated', () => {
  expect(allowing([policy], { direction: 'ingress', of: pod('other'), peer: pod('operator'), port: 1 })).toEqual({
    isolated: false,
    rules: [],
  });
});
