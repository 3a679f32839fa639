// Names, labels and owner of everything that the operator makes.
import type { Settings } from './settings-schema.ts';

export const COMPONENTS = ['operator', 'runtime', 'collector'] as const;
export type Component = (typeof COMPONENTS)[number];

/** Of the workload, its Service and its service account alike. */
export const workloadName = (component: Component): string => `sluice-${component}`;
export const tlsSecretName = (component: Component): string => `sluice-${component}-tls`;
export const CA_SECRET = 'sluice-ca';
export const MANAGED_BY = 'sluice-operator';
/** Where runtime and collector find `tls.crt`, `tls.key` and `ca.crt`. */
export const TLS_DIRECTORY = '/etc/sluice/tls';

/** An object as it is sent to the API server; all of what we want of it. */
export interface Child {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences: readonly Owner[];
  };
  readonly [field: string]: unknown;
}

export interface Owner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller: true;
  readonly blockOwnerDeletion: true;
}

/** Where this operator runs and as what: the facts that all children depend on beside the settings. */
export interface Installation {
  readonly namespace: string;
  /** Of the operator's own Deployment. */
  readonly deploymentUid: string;
  /** Of this build; a label, never part of a selector. */
  readonly version: string;
  readonly image: string;
  readonly imagePullPolicy: string;
  readonly imagePullSecrets: readonly string[];
}

/** What one child is built from. */
export interface Inputs {
  readonly installation: Installation;
  readonly settings: Settings;
}

/**
 * Never changes for a component: selectors are immutable (operator rule C31). Two installations in one cluster live in
 * two namespaces, where selectors do not meet.
 */
export const selectorLabels = (component: Component): Record<string, string> => ({
  'app.kubernetes.io/name': 'sluice',
  'app.kubernetes.io/instance': 'sluice',
  'app.kubernetes.io/component': component,
});

/** The text as the value of a label: at most 63 characters of a closed set. */
const labelValue = (text: string): string =>
  text
    .replaceAll(/[^A-Za-z0-9_.-]/g, '_')
    .slice(0, 63)
    .replaceAll(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '');

/** Operator rule C32. */
export const childLabels = (component: Component, { version }: Installation): Record<string, string> => ({
  ...selectorLabels(component),
  'app.kubernetes.io/part-of': 'sluice',
  'app.kubernetes.io/managed-by': MANAGED_BY,
  'app.kubernetes.io/version': labelValue(version),
});

/** Operator rule C24: a child in the namespace of its owner, the operator's own Deployment. */
export const ownerOf = ({ deploymentUid }: Installation): Owner => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  name: workloadName('operator'),
  uid: deploymentUid,
  controller: true,
  blockOwnerDeletion: true,
});

/** A child without its body. */
export const childOf = (
  { installation }: Inputs,
  component: Component,
  apiVersion: string,
  kind: string,
  name: string,
): Pick<Child, 'apiVersion' | 'kind' | 'metadata'> => ({
  apiVersion,
  kind,
  metadata: {
    name,
    namespace: installation.namespace,
    labels: childLabels(component, installation),
    ownerReferences: [ownerOf(installation)],
  },
});
