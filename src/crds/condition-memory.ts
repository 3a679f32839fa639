// Conditions as the operator remembers them of ten thousand objects: what the next merge needs in one short text, and a
// hash by which a status that somebody else wrote is noticed. Pure.
import { digest } from '../model/digest.ts';
import type { Condition } from './status.ts';

const STATUSES: readonly Condition['status'][] = ['True', 'False', 'Unknown'];

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const isStatus = (value: unknown): value is Condition['status'] => STATUSES.some((status) => status === value);

/** All but the messages; what is no condition is left out. */
export const packConditions = (conditions: unknown): string =>
  (Array.isArray(conditions) ? conditions : [])
    .filter(isRecord)
    .map(({ type, status, reason, lastTransitionTime, observedGeneration = 0 }) => [
      type,
      status,
      reason,
      lastTransitionTime,
      String(observedGeneration),
    ])
    .filter((fields) => fields.every((field) => typeof field === 'string' && field !== '' && !/[\s;]/.test(field)))
    .map((fields) => fields.join(' '))
    .join(';');

/** What `packConditions` kept; messages are empty. */
export const unpackConditions = (packed: string): Condition[] =>
  packed.split(';').flatMap((one) => {
    const [type = '', status, reason = '', lastTransitionTime = '', generation = ''] = one.split(' ');
    const observedGeneration = Number(generation);
    return isStatus(status) && Number.isSafeInteger(observedGeneration)
      ? { type, status, reason, message: '', lastTransitionTime, observedGeneration }
      : [];
  });

/** Equal for the same conditions, whoever wrote them and in whatever order their fields came. */
export function hashConditions(conditions: unknown): string {
  const fields = (Array.isArray(conditions) ? conditions : [])
    .filter(isRecord)
    .map(({ type, status, reason, message, lastTransitionTime, observedGeneration }) =>
      JSON.stringify([type, status, reason, message ?? '', lastTransitionTime, observedGeneration ?? 0]),
    );
  return digest(fields.sort().join('\n'));
}
