// When certificates are made and changed: what the Secrets hold now and the time -> what to do. Pure; issue.ts makes what
// is decided here, secrets.ts reads and writes Secrets. A new authority is in everybody's trust bundle for `caOverlap`
// before it signs; the one before stays in it until it expires.
import type { Settings } from './settings-schema.ts';
import { durationMs } from './settings.ts';

/** Milliseconds. */
export interface CertificateDurations {
  readonly caValidityMs: number;
  readonly caOverlapMs: number;
  readonly leafValidityMs: number;
  readonly renewEveryMs: number;
}

export const certificateDurations = ({ certificates }: Settings): CertificateDurations => ({
  caValidityMs: durationMs(certificates.caValidity),
  caOverlapMs: durationMs(certificates.caOverlap),
  leafValidityMs: durationMs(certificates.leafValidity),
  renewEveryMs: durationMs(certificates.renewEvery),
});

/**
 * How long before its making a certificate begins, for peers whose clocks are behind. An authority more, so that a clock
 * that was wrong and is set back does not cost the trust of all roles.
 */
export const LEAF_BACKDATE_MS = 300_000;
export const AUTHORITY_BACKDATE_MS = 86_400_000;

/** What is known of a certificate whose key fits it. */
export interface CertificateFacts {
  /** SHA-256 of its bytes. */
  readonly id: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export interface LeafFacts extends CertificateFacts {
  /** `id` of the authority in Secret `sluice-ca` that signed it; undefined: none of those. */
  readonly issuer: string | undefined;
  /** Whether it names what it should. */
  readonly namesFit: boolean;
}

/** What is undefined is not there or cannot be read. */
export interface CertificateState<Role extends string> {
  readonly current: CertificateFacts | undefined;
  readonly next: CertificateFacts | undefined;
  /** Certificates of authorities that sign no more; their keys are gone. */
  readonly previous: readonly CertificateFacts[];
  readonly leaves: Readonly<Record<Role, LeafFacts | undefined>>;
}

/**
 * `create`: a new authority, which alone is trusted from now on. `promote`: the next one signs from now on. `prepare`: a
 * next one is made and becomes known. `drop`: a next one that is of no use goes, without another taking its place yet.
 */
export type AuthorityStep = 'keep' | 'create' | 'promote' | 'prepare' | 'drop';

export interface CertificatePlan<Role extends string> {
  readonly authority: AuthorityStep;
  /** `id`s of previous authorities that stay in the bundle. */
  readonly previous: readonly string[];
  /** Roles that get a new leaf from the authority that signs after this step. */
  readonly issue: readonly Role[];
  /** When the next step is due without any change from outside; milliseconds since 1970. */
  readonly nextMs: number;
}

const isValid = (certificate: CertificateFacts | undefined, nowMs: number): certificate is CertificateFacts =>
  certificate !== undefined && certificate.notBeforeMs <= nowMs && nowMs < certificate.notAfterMs;

const madeAt = (authority: CertificateFacts): number => authority.notBeforeMs + AUTHORITY_BACKDATE_MS;

/** From then on a next authority is needed: its overlap and the last leaf of this one end before this one does. */
const prepareAt = (current: CertificateFacts, { leafValidityMs, caOverlapMs }: CertificateDurations): number =>
  current.notAfterMs - leafValidityMs - caOverlapMs;

/** Usually when its overlap is over; earlier where the current one ends first, because it was prepared late. */
const promoteAt = (current: CertificateFacts, next: CertificateFacts, { caOverlapMs }: CertificateDurations): number =>
  Math.min(madeAt(next) + caOverlapMs, current.notAfterMs - caOverlapMs / 24);

function authorityStep(
  { current, next }: Pick<CertificateState<string>, 'current' | 'next'>,
  durations: CertificateDurations,
  nowMs: number,
): AuthorityStep {
  const nextIsValid = isValid(next, nowMs);
  if (!isValid(current, nowMs)) return nextIsValid ? 'promote' : 'create';
  if (nextIsValid) return nowMs >= promoteAt(current, next, durations) ? 'promote' : 'keep';
  if (nowMs >= prepareAt(current, durations)) return 'prepare';
  return next === undefined ? 'keep' : 'drop';
}

/**
 * Decides for one moment. Clocks that step are no error: what is not valid now is replaced, everything else goes by the
 * dates in the certificates themselves, so nothing has to be remembered.
 */
export function planCertificates<Role extends string>(
  state: CertificateState<Role>,
  roles: readonly Role[],
  durations: CertificateDurations,
  nowMs: number,
): CertificatePlan<Role> {
  const authority = authorityStep(state, durations, nowMs);
  const { current, next } = state;
  const trusted =
    authority === 'create'
      ? []
      : [...state.previous, ...(authority === 'promote' && current !== undefined ? [current] : [])].filter((one) =>
          isValid(one, nowMs),
        );
  const signer = authority === 'create' ? undefined : authority === 'promote' ? next : current;
  const issuers = new Set([signer, ...trusted].map((one) => one?.id));
  const renewAt = (leaf: CertificateFacts): number => leaf.notBeforeMs + LEAF_BACKDATE_MS + durations.renewEveryMs;
  const isGood = (leaf: LeafFacts | undefined): leaf is LeafFacts =>
    isValid(leaf, nowMs) &&
    leaf.namesFit &&
    leaf.issuer !== undefined &&
    issuers.has(leaf.issuer) &&
    nowMs < renewAt(leaf);
  const issue = roles.filter((role) => !isGood(state.leaves[role]));
  const times = [
    ...roles.map((role) => {
      const leaf = state.leaves[role];
      return isGood(leaf) ? Math.min(renewAt(leaf), leaf.notAfterMs) : nowMs + durations.renewEveryMs;
    }),
    ...trusted.map(({ notAfterMs }) => notAfterMs),
    ...(authority === 'keep' && current !== undefined
      ? [next === undefined ? prepareAt(current, durations) : promoteAt(current, next, durations)]
      : // what was written is read again before anything else is waited for
        [nowMs]),
  ];
  return { authority, previous: trusted.map(({ id }) => id), issue, nextMs: Math.max(nowMs, Math.min(...times)) };
}
