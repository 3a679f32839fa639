// What is written into a Lease (coordination.k8s.io/v1) and read from it. Times in it are for people: nobody decides by them,
// since clocks of different machines differ (R25).
import type { Lease } from './resources.ts';
import type { ObjectMeta } from './types.ts';

/** MicroTime: RFC 3339 with six digits of a second; the API server refuses other forms. */
export const microTime = (date: Date): string => `${date.toISOString().slice(0, -1)}000Z`;

export interface Claim {
  readonly identity: string;
  readonly durationMs: number;
  readonly now: Date;
}

/** A whole number of seconds, at least 1. */
const seconds = (ms: number): number => Math.max(1, Math.round(ms / 1000));

export function newLease(metadata: ObjectMeta, { identity, durationMs, now }: Claim): Lease {
  const time = microTime(now);
  return {
    metadata,
    spec: {
      holderIdentity: identity,
      leaseDurationSeconds: seconds(durationMs),
      acquireTime: time,
      renewTime: time,
      leaseTransitions: 0,
    },
  };
}

/** The lease as a new term writes it. Each term has a number of transitions of its own, also where the holder is the same. */
export function takenLease(lease: Lease, claim: Claim): Lease {
  const { spec } = newLease(lease.metadata, claim);
  return { ...lease, spec: { ...lease.spec, ...spec, leaseTransitions: transitionsOf(lease) + 1 } };
}

export const renewedLease = (lease: Lease, { durationMs, now }: Claim): Lease => ({
  ...lease,
  spec: { ...lease.spec, leaseDurationSeconds: seconds(durationMs), renewTime: microTime(now) },
});

/** Nobody's, to be taken at once (R26). A second is the shortest that a Lease can say. */
export const releasedLease = (lease: Lease, now: Date): Lease => ({
  ...lease,
  spec: { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime(now) },
});

export const holderOf = (lease: Lease): string => lease.spec?.holderIdentity ?? '';

export const transitionsOf = (lease: Lease): number => {
  const transitions = lease.spec?.leaseTransitions;
  return typeof transitions === 'number' && Number.isSafeInteger(transitions) && transitions >= 0 ? transitions : 0;
};

/** How long the holder may be silent, by its own word; `fallbackMs` where the lease does not say. */
export function durationOf(lease: Lease, fallbackMs: number): number {
  const duration = lease.spec?.leaseDurationSeconds;
  return typeof duration === 'number' && duration > 0 ? duration * 1000 : fallbackMs;
}
