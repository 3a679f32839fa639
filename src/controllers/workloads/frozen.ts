// The fields that the API server refuses to change in place (operator rule C31), in one form whoever wrote them.
import { quantityBytes } from './settings.ts';

const at = (value: unknown, ...path: readonly string[]): unknown =>
  path.reduce<unknown>(
    (inner, name) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, name) : undefined),
    value,
  );

const sorted = (value: unknown): unknown =>
  typeof value === 'object' && value !== null ? Object.entries(value).sort(([a], [b]) => a.localeCompare(b)) : value;

function claims(templates: unknown): unknown {
  if (!Array.isArray(templates)) return [];
  return templates.map((template: unknown) => {
    const size = at(template, 'spec', 'resources', 'requests', 'storage');
    return [
      at(template, 'metadata', 'name'),
      at(template, 'spec', 'accessModes'),
      typeof size === 'string' || typeof size === 'number' ? quantityBytes(size) : undefined,
      at(template, 'spec', 'storageClassName'),
    ];
  });
}

const PARTS: Readonly<Record<string, (object: unknown) => unknown>> = {
  DaemonSet: (object) => sorted(at(object, 'spec', 'selector', 'matchLabels')),
  StatefulSet: (object) => [
    sorted(at(object, 'spec', 'selector', 'matchLabels')),
    at(object, 'spec', 'serviceName'),
    at(object, 'spec', 'podManagementPolicy'),
    claims(at(object, 'spec', 'volumeClaimTemplates')),
  ],
  // headless for ever or never
  Service: (object) => at(object, 'spec', 'clusterIP') === 'None',
};

/** Whether its pods have volumes of their own. A pod without one cannot get one: it has to be another pod. */
export const hasClaims = (object: { readonly kind?: string }): boolean => {
  const templates = at(object, 'spec', 'volumeClaimTemplates');
  return Array.isArray(templates) && templates.length > 0;
};

/** Equal texts: one can become the other in place. Empty for kinds without such fields. */
export const frozenPart = (object: { readonly kind?: string }): string =>
  JSON.stringify(PARTS[object.kind ?? '']?.(object) ?? '');
