import { createPrivateKey, X509Certificate } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  planCertificates,
  type CertificateDurations,
  type CertificateFacts,
  type CertificatePlan,
  type CertificateState,
  type LeafFacts,
  AUTHORITY_BACKDATE_MS,
  LEAF_BACKDATE_MS,
} from '../../../src/controllers/workloads/certificates.ts';
import {
  decodeSecret,
  changeCertificates,
  type CertificateSecrets,
} from '../../../src/controllers/workloads/secrets.ts';
import { inputsOf } from './inputs.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const DEFAULTS: CertificateDurations = {
  caValidityMs: 365 * DAY,
  caOverlapMs: DAY,
  leafValidityMs: 7 * DAY,
  renewEveryMs: DAY,
};
const START = Date.UTC(2026, 0, 31);
const RUNS = Number(process.env['SLUICE_FUZZ_RUNS'] ?? 200);

// --- the decision alone, over years, with facts instead of certificates

type Role = 'a' | 'b' | 'c';
const ROLES: readonly Role[] = ['a', 'b', 'c'];

class World {
  state: CertificateState<Role> = {
    current: undefined,
    next: undefined,
    previous: [],
    leaves: { a: undefined, b: undefined, c: undefined },
  };
  /** When each authority was first in the bundle. */
  readonly knownSince = new Map<string, number>();
  #serial = 0;

  #authority(nowMs: number): CertificateFacts {
    const facts = {
      id: `ca${String(++this.#serial)}`,
      notBeforeMs: nowMs - AUTHORITY_BACKDATE_MS,
      notAfterMs: nowMs + DEFAULTS.caValidityMs,
    };
    this.knownSince.set(facts.id, nowMs);
    return facts;
  }

  /** Does what secrets.ts does. */
  carryOut(plan: CertificatePlan<Role>, nowMs: number): void {
    const { current, next, previous } = this.state;
    const kept = [...(current === undefined ? [] : [current]), ...previous].filter(({ id }) =>
      plan.previous.includes(id),
    );
    const created = plan.authority === 'create' ? this.#authority(nowMs) : undefined;
    const signer = created ?? (plan.authority === 'promote' ? next : current);
    if (signer === undefined) throw new Error('nobody signs');
    const after = plan.authority === 'prepare' ? this.#authority(nowMs) : plan.authority === 'keep' ? next : undefined;
    const leaves = { ...this.state.leaves };
    for (const role of plan.issue) {
      leaves[role] = {
        id: `leaf${String(++this.#serial)}`,
        notBeforeMs: nowMs - LEAF_BACKDATE_MS,
        notAfterMs: Math.min(nowMs + DEFAULTS.leafValidityMs, signer.notAfterMs),
        issuer: signer.id,
        namesFit: true,
      };
    }
    this.state = { current: signer, next: after, previous: kept, leaves };
  }

  get bundle(): string[] {
    const { current, next, previous } = this.state;
    return [current, next, ...previous].flatMap((one) => one?.id ?? []);
  }
}

/** Decides and does until nothing is to be done; the steps that it took. */
function settle(world: World, nowMs: number): CertificatePlan<Role>[] {
  const plans: CertificatePlan<Role>[] = [];
  for (let i = 0; i < 5; i++) {
    const plan = planCertificates(world.state, ROLES, DEFAULTS, nowMs);
    if (plan.authority === 'keep' && plan.issue.length === 0) return plans;
    plans.push(plan);
    world.carryOut(plan, nowMs);
  }
  throw new Error(`does not settle: ${JSON.stringify(plans)}`);
}

function expectSound({ state, bundle }: Pick<World, 'state' | 'bundle'>, nowMs: number): void {
  for (const role of ROLES) {
    const leaf = state.leaves[role];
    expect(leaf).toBeDefined();
    expect(leaf?.notBeforeMs).toBeLessThanOrEqual(nowMs);
    expect(leaf?.notAfterMs).toBeGreaterThan(nowMs);
    // who holds any of the bundles trusts whoever shows any of the leaves
    expect(bundle).toContain(leaf?.issuer);
  }
}

describe('certificates over time', () => {
  test('X13: five years, looked at twice a day: an authority is known for its overlap before it signs, leaves are renewed daily', () => {
    const world = new World();
    const creations: number[] = [];
    for (let now = START; now < START + 5 * 365 * DAY; now += 12 * HOUR) {
      for (const { authority } of settle(world, now)) {
        if (authority === 'create') creations.push(now);
        if (authority !== 'promote') continue;
        const { id = '' } = world.state.current ?? {};
        expect(now - (world.knownSince.get(id) ?? now)).toBeGreaterThanOrEqual(DEFAULTS.caOverlapMs);
      }
      expectSound(world, now);
      const leaf = world.state.leaves.a;
      expect(now - (leaf?.notBeforeMs ?? 0)).toBeLessThanOrEqual(DAY + 12 * HOUR + LEAF_BACKDATE_MS);
      expect(leaf?.notAfterMs ?? 0).toBeGreaterThan(now + 5 * DAY);
      expect(world.bundle.length).toBeLessThanOrEqual(2);
    }
    expect(creations).toEqual([START]);
  });

  test('says when to look again, and nothing is due before', () => {
    const world = new World();
    let now = START;
    for (let i = 0; i < 800; i++) {
      settle(world, now);
      expectSound(world, now);
      const { nextMs } = planCertificates(world.state, ROLES, DEFAULTS, now);
      expect(nextMs).toBeGreaterThan(now);
      const before = planCertificates(world.state, ROLES, DEFAULTS, nextMs - 1);
      expect([before.authority, before.issue]).toEqual(['keep', []]);
      now = nextMs;
    }
    expect(now).toBeGreaterThan(START + 365 * DAY);
  });

  type Happening =
    | { readonly wait: number }
    | { readonly step: number }
    | { readonly lose: 'current' | 'next' | 'previous' | Role }
    | { readonly rename: Role };
  const happening: fc.Arbitrary<Happening> = fc.oneof(
    { weight: 6, arbitrary: fc.record({ wait: fc.integer({ min: 1, max: 40 * DAY }) }) },
    { weight: 2, arbitrary: fc.record({ step: fc.integer({ min: -400 * DAY, max: 400 * DAY }) }) },
    { weight: 2, arbitrary: fc.record({ lose: fc.constantFrom('current', 'next', 'previous', ...ROLES) }) },
    { weight: 1, arbitrary: fc.record({ rename: fc.constantFrom(...ROLES) }) },
  );

  test('X13: whatever is lost and however clocks step, every look ends with valid leaves that all trust', () => {
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 40 }), (happenings) => {
        const world = new World();
        let now = START;
        settle(world, now);
        for (const one of happenings) {
          if ('wait' in one) now += one.wait;
          else if ('step' in one) now += one.step;
          else if ('rename' in one) {
            const leaf = world.state.leaves[one.rename] as LeafFacts;
            world.state = {
              ...world.state,
              leaves: { ...world.state.leaves, [one.rename]: { ...leaf, namesFit: false } },
            };
          } else if (one.lose === 'current' || one.lose === 'next')
            world.state = { ...world.state, [one.lose]: undefined };
          else if (one.lose === 'previous') world.state = { ...world.state, previous: [] };
          else world.state = { ...world.state, leaves: { ...world.state.leaves, [one.lose]: undefined } };
          // an issuer that is gone signs nothing
          const known = new Set(world.bundle);
          const leaves = Object.fromEntries(
            ROLES.map((role) => {
              const leaf = world.state.leaves[role];
              return [role, leaf === undefined || known.has(leaf.issuer ?? '') ? leaf : { ...leaf, issuer: undefined }];
            }),
          ) as Record<Role, LeafFacts | undefined>;
          world.state = { ...world.state, leaves };
          settle(world, now);
          expectSound(world, now);
        }
      }),
      { numRuns: RUNS },
    );
  });
});

// --- the Secrets themselves

const inputs = inputsOf();

async function settleSecrets(
  secrets: CertificateSecrets,
  durations: CertificateDurations,
  nowMs: number,
): Promise<{ secrets: CertificateSecrets; notes: string[] }> {
  const notes: string[] = [];
  let held = secrets;
  for (let i = 0; i < 5; i++) {
    const change = await changeCertificates(inputs, held, durations, nowMs);
    held = Object.fromEntries(
      change.secrets.map((child) => [child.metadata.name, decodeSecret(child['data'] as Record<string, string>)]),
    );
    notes.push(...change.notes);
    if (change.notes.length === 0) return { secrets: held, notes };
  }
  throw new Error(`does not settle: ${notes.join('; ')}`);
}

const roles = ['operator', 'runtime', 'collector'] as const;

function expectChain(secrets: CertificateSecrets, nowMs: number): void {
  const bundles = new Set(roles.map((role) => secrets[`sluice-${role}-tls`]?.['ca.crt']));
  expect(bundles.size).toBe(1);
  const authorities = ([...bundles][0] ?? '').match(/-----BEGIN[^]*?-----END CERTIFICATE-----/g) ?? [];
  for (const role of roles) {
    const { 'tls.crt': certificate = '', 'tls.key': key = '' } = secrets[`sluice-${role}-tls`] ?? {};
    const leaf = new X509Certificate(certificate);
    expect(leaf.checkPrivateKey(createPrivateKey(key))).toBe(true);
    expect(leaf.subjectAltName).toContain(`URI:spiffe://sluice/ns/sluice-system/sa/sluice-${role}`);
    expect(leaf.ca).toBe(false);
    expect(leaf.validFromDate.getTime()).toBeLessThanOrEqual(nowMs);
    expect(leaf.validToDate.getTime()).toBeGreaterThan(nowMs);
    const signer = authorities.map((pem) => new X509Certificate(pem)).find((one) => leaf.checkIssued(one));
    expect(signer?.ca).toBe(true);
    expect(leaf.verify((signer as X509Certificate).publicKey)).toBe(true);
  }
}

describe('the Secrets with certificates', () => {
  test('are made whole at first, and left alone afterwards', async () => {
    const { secrets, notes } = await settleSecrets({}, DEFAULTS, START);
    expectChain(secrets, START);
    expect(notes).toHaveLength(4);
    expect(Object.keys(secrets['sluice-ca'] ?? {}).sort()).toEqual(['ca.crt', 'tls.crt', 'tls.key']);
    const later = await changeCertificates(inputs, secrets, DEFAULTS, START + 20 * HOUR);
    expect(later.notes).toEqual([]);
    expect(Object.fromEntries(later.secrets.map((one) => [one.metadata.name, one]))).toEqual(
      Object.fromEntries(
        (await changeCertificates(inputs, secrets, DEFAULTS, START)).secrets.map((one) => [one.metadata.name, one]),
      ),
    );
  });

  test("go through an authority's life in seconds where the settings say so", async () => {
    const durations = { caValidityMs: 20_000, caOverlapMs: 2000, leafValidityMs: 6000, renewEveryMs: 2000 };
    let secrets: CertificateSecrets = {};
    const signers = new Set<string>();
    const bundleSizes = new Set<number>();
    for (let now = START; now < START + 90_000; now += 500) {
      ({ secrets } = await settleSecrets(secrets, durations, now));
      expectChain(secrets, now);
      signers.add(secrets['sluice-ca']?.['tls.crt'] ?? '');
      bundleSizes.add((secrets['sluice-ca']?.['ca.crt'] ?? '').split('-----BEGIN').length - 1);
    }
    expect(signers.size).toBeGreaterThanOrEqual(5);
    expect(bundleSizes).toEqual(new Set([1, 2]));
  });

  test('a leaf of the old authority is trusted by who has the new bundle, and the other way round', async () => {
    const durations = { ...DEFAULTS, renewEveryMs: 3 * DAY };
    let { secrets } = await settleSecrets({}, durations, START);
    const old = secrets;
    const due = START + DEFAULTS.caValidityMs - 8 * DAY;
    ({ secrets } = await settleSecrets(secrets, durations, due));
    expect(secrets['sluice-ca']?.['tls.crt']).toBe(old['sluice-ca']?.['tls.crt']);
    expect(secrets['sluice-ca']).toHaveProperty(['next.key']);
    const announced = secrets;
    ({ secrets } = await settleSecrets(secrets, durations, due + DAY));
    expect(secrets['sluice-ca']?.['tls.crt']).toBe(announced['sluice-ca']?.['next.crt']);
    // the old key is gone, its certificate is not
    expect(JSON.stringify(secrets)).not.toContain((announced['sluice-ca']?.['tls.key'] ?? '').split('\n')[1]);
    expect(secrets['sluice-runtime-tls']?.['ca.crt']).toContain(old['sluice-ca']?.['tls.crt']);
  });

  test('one that is deleted or broken is made anew; without the authority all are', async () => {
    const { secrets } = await settleSecrets({}, DEFAULTS, START);
    const lost = await settleSecrets({ ...secrets, 'sluice-runtime-tls': undefined }, DEFAULTS, START + 1000);
    expect(lost.notes).toEqual([expect.stringMatching(/^issued sluice-runtime until /)]);
    expectChain(lost.secrets, START + 1000);
    const swapped = { ...secrets, 'sluice-collector-tls': secrets['sluice-runtime-tls'] };
    expect((await settleSecrets(swapped, DEFAULTS, START + 1000)).notes).toEqual([
      expect.stringMatching(/^issued sluice-collector /),
    ]);
    const noCa = await settleSecrets({ ...secrets, 'sluice-ca': undefined }, DEFAULTS, START + 1000);
    expect(noCa.notes).toHaveLength(4);
    // deleting sluice-ca revokes: what the old one signed is trusted by nobody
    expect(noCa.secrets['sluice-runtime-tls']?.['ca.crt']).not.toContain(secrets['sluice-ca']?.['tls.crt']);
  });

  test('X9: no key is in a note, and none in an error', async () => {
    const { secrets, notes } = await settleSecrets({}, DEFAULTS, START);
    const keys = Object.values(secrets).flatMap((one) =>
      (one?.['tls.key'] ?? '').split('\n').filter((line) => line.length > 30),
    );
    for (const key of keys) expect(notes.join()).not.toContain(key);
  });

  test('any garbage in them is replaced, never a crash', async () => {
    const { secrets } = await settleSecrets({}, DEFAULTS, START);
    const names = Object.keys(secrets);
    const fields = ['tls.crt', 'tls.key', 'ca.crt', 'next.crt', 'next.key', 'previous.crt'];
    const garbage = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.constantFrom(...Object.values(secrets).flatMap((one) => Object.values(one ?? {}))),
      // a few bytes of a real one flipped
      fc
        .tuple(
          fc.constantFrom(...Object.values(secrets).flatMap((one) => Object.values(one ?? {}))),
          fc.nat(),
          fc.string({ maxLength: 3 }),
        )
        .map(
          ([text, at, patch]) =>
            text.slice(0, at % text.length) + patch + text.slice((at % text.length) + patch.length),
        ),
    );
    const change = fc.tuple(fc.constantFrom(...names), fc.constantFrom(...fields), garbage);
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 6 }), async (changes) => {
        const broken: Record<string, Record<string, string>> = structuredClone(secrets) as never;
        for (const [name, field, text] of changes) (broken[name] ??= {})[field] = text;
        const settled = await settleSecrets(broken, DEFAULTS, START + HOUR);
        expectChain(settled.secrets, START + HOUR);
      }),
      { numRuns: Math.min(RUNS, 2000) },
    );
  });
});
