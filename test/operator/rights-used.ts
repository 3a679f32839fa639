// Which of the rights in config/rbac are used, and what was asked for without one: audit events joined with roles and bindings.
// Events of several suites may be judged together.
import { parseAllDocuments } from 'yaml';
import type { Rule } from '../../src/controllers/workloads/rights.ts';
import type { AuditEvent } from '../cluster/audit.ts';

/** A rule that an account has, by one role. */
export interface Grant {
  readonly role: string;
  /** Where; undefined: in every namespace, and outside of them. */
  readonly namespace: string | undefined;
  readonly rule: Rule;
}

export interface RightsUse {
  /** `role: verb resource.group`, sorted: nobody has used them. */
  readonly unused: readonly string[];
  /** `verb resource.group namespace/name`, sorted, each once: answered with 403. */
  readonly denied: readonly string[];
  /** The same: answered otherwise although none of the grants covers it. Rights that every account has are left out. */
  readonly beyond: readonly string[];
}

interface RbacObject {
  readonly kind?: string;
  readonly metadata?: { readonly name: string; readonly namespace?: string };
  readonly rules?: readonly Rule[];
  readonly roleRef?: { readonly kind: string; readonly name: string };
  readonly subjects?: readonly { readonly kind: string; readonly name: string; readonly namespace?: string }[];
}

/** What the service account `account` is granted by the roles and bindings in `yaml` (files, or the output of kustomize). */
export function grantsIn(yaml: string, account: string): Grant[] {
  const objects = parseAllDocuments(yaml).map((document) => (document.toJS() ?? {}) as RbacObject);
  return objects
    .filter(({ kind = '' }) => kind.endsWith('Binding'))
    .filter(({ subjects = [] }) => subjects.some(({ kind, name }) => kind === 'ServiceAccount' && name === account))
    .flatMap(({ kind, metadata, roleRef }): Grant[] => {
      const namespace = kind === 'RoleBinding' ? metadata?.namespace : undefined;
      const role = objects.find(
        (one) =>
          one.kind === roleRef?.kind &&
          one.metadata?.name === roleRef?.name &&
          (one.kind === 'ClusterRole' || one.metadata?.namespace === namespace),
      );
      return (role?.rules ?? []).map((rule) => ({ role: role?.metadata?.name ?? '', namespace, rule }));
    });
}

interface Asked {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
}

/** Server-side apply of what is not there asks for `create` as well (KEP-555). */
function* askedIn({ verb, objectRef, responseStatus }: AuditEvent): Generator<Asked> {
  if (objectRef?.resource === undefined) return;
  const { apiGroup: group = '', subresource, namespace = '', name = '' } = objectRef;
  const resource = subresource === undefined ? objectRef.resource : `${objectRef.resource}/${subresource}`;
  const asked = { group, resource, namespace, name };
  yield { ...asked, verb };
  if (verb === 'patch' && responseStatus?.code === 201) yield { ...asked, verb: 'create' };
}

const covers = ({ namespace, rule }: Grant, asked: Asked): boolean =>
  (namespace === undefined || namespace === asked.namespace) &&
  rule.apiGroups.includes(asked.group) &&
  rule.resources.includes(asked.resource) &&
  rule.verbs.includes(asked.verb) &&
  (rule.resourceNames === undefined || rule.resourceNames.includes(asked.name));

const kindOf = (group: string, resource: string): string => (group === '' ? resource : `${resource}.${group}`);
const textOf = ({ verb, group, resource, namespace, name }: Asked): string =>
  `${verb} ${kindOf(group, resource)} ${namespace}/${name}`;
const sorted = (texts: Iterable<string>): string[] => [...new Set(texts)].sort();

/** Of every account (system:basic-user): questions about its own rights. */
const isEverybodys = ({ group, resource }: Asked): boolean =>
  (group === 'authorization.k8s.io' || group === 'authentication.k8s.io') && resource.startsWith('selfsubject');

/** `username`: `system:serviceaccount:<namespace>:<name>`. */
export function judgeRights(events: readonly AuditEvent[], username: string, grants: readonly Grant[]): RightsUse {
  const used = new Set<string>();
  const denied: string[] = [];
  const beyond: string[] = [];
  for (const event of events) {
    if (event.user.username !== username) continue;
    for (const asked of askedIn(event)) {
      if (isEverybodys(asked)) continue;
      if (event.responseStatus?.code === 403) {
        denied.push(textOf(asked));
        continue;
      }
      const by = grants.filter((grant) => covers(grant, asked));
      if (by.length === 0) beyond.push(textOf(asked));
      for (const { role } of by) used.add(`${role}: ${asked.verb} ${kindOf(asked.group, asked.resource)}`);
    }
  }
  const all = grants.flatMap(({ role, rule }) =>
    rule.apiGroups.flatMap((group) =>
      rule.resources.flatMap((resource) => rule.verbs.map((verb) => `${role}: ${verb} ${kindOf(group, resource)}`)),
    ),
  );
  return { unused: sorted(all.filter((one) => !used.has(one))), denied: sorted(denied), beyond: sorted(beyond) };
}
