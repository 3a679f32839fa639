// Outside its own namespace the operator may not read Secrets. For one elsewhere, whoever may grant it does so by a Role
// with that one name; the condition's message has the commands.
import { createHash } from 'node:crypto';
import type { Fault } from './script-conditions.ts';

/** A role name that tells what it is for; of a long Secret name only a hash, so that the message stays short enough. */
const roleName = (secret: string): string =>
  secret.length <= 48 ? `sluice-${secret}` : `sluice-${createHash('sha256').update(secret).digest('hex').slice(0, 16)}`;

/** The two commands that let the operator of `operatorNamespace` read one Secret; get, list and watch by name, nothing else. */
export function secretGrantCommands(namespace: string, secret: string, operatorNamespace: string): [string, string] {
  const role = roleName(secret);
  return [
    `kubectl -n ${namespace} create role ${role} --verb=get,list,watch --resource=secrets --resource-name=${secret}`,
    `kubectl -n ${namespace} create rolebinding ${role} --role=${role} --serviceaccount=${operatorNamespace}:sluice-operator`,
  ];
}

/** CredentialsResolved=False for a Secret that may not be read. */
export function secretForbidden(namespace: string, secret: string, operatorNamespace: string): Fault {
  const [role, binding] = secretGrantCommands(namespace, secret, operatorNamespace);
  return {
    reason: 'SecretForbidden',
    message: `no right to read Secret "${secret}"; grant it by: ${role} && ${binding}`,
  };
}
