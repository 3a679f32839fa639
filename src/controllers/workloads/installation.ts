// The operator's own Deployment -> where and as what it is installed. Image, pull policy and pull secrets are taken from it
// where the settings are silent, so that an installation names its image in one place.
import { workloadName, type Installation } from './objects.ts';
import type { ObservedObject } from './observed.ts';
import type { Settings } from './settings-schema.ts';

export interface ObservedDeployment extends ObservedObject {
  readonly spec?: {
    readonly template?: {
      readonly spec?: {
        readonly containers?: readonly {
          readonly name: string;
          readonly image?: string;
          readonly imagePullPolicy?: string;
        }[];
        readonly imagePullSecrets?: readonly { readonly name?: string }[];
      };
    };
  };
}

/** Undefined for a Deployment that has neither uid nor image, which the API server does not have. */
export function installationOf(
  deployment: ObservedDeployment,
  namespace: string,
  version: string,
  { image }: Pick<Settings, 'image'>,
): Installation | undefined {
  const { containers = [], imagePullSecrets = [] } = deployment.spec?.template?.spec ?? {};
  // sidecars that somebody injected have other names
  const own = containers.find(({ name }) => name === 'operator') ?? containers[0];
  const name = image.name === '' ? own?.image : image.name;
  const { uid } = deployment.metadata;
  if (uid === undefined || name === undefined) return undefined;
  const ownSecrets = imagePullSecrets.flatMap((secret) => secret.name ?? []);
  return {
    namespace,
    deploymentUid: uid,
    version,
    image: name,
    imagePullPolicy: image.pullPolicy === '' ? (own?.imagePullPolicy ?? 'IfNotPresent') : image.pullPolicy,
    imagePullSecrets: image.pullSecrets.length === 0 ? ownSecrets : image.pullSecrets,
  };
}

export const NO_DEPLOYMENT = {
  reason: 'OwnerNotFound',
  message: `Deployment ${workloadName('operator')} is not in the operator's namespace, so nothing can be owned by it; install with config/default`,
};
