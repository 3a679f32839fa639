// The Secrets with certificates: read into facts, written as planned. Reading never throws: what cannot be read is not
// there, and is made anew. Private keys leave this file only as the data of a Secret, never in an error or a log.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { identityUri } from '../../rpc/identity.ts';
import type { TlsMaterial } from '../../rpc/tls.ts';
import {
  AUTHORITY_BACKDATE_MS,
  LEAF_BACKDATE_MS,
  planCertificates,
  type CertificateDurations,
  type CertificateFacts,
  type CertificatePlan,
  type LeafFacts,
} from './certificates.ts';
import { issueAuthority, issueLeaf, type IssuedCertificate } from './issue.ts';
import {
  CA_SECRET,
  childOf,
  COMPONENTS,
  tlsSecretName,
  workloadName,
  type Child,
  type Component,
  type Inputs,
} from './objects.ts';

/** `data` of a Secret, decoded; empty for one that is not there. */
export type SecretTexts = Readonly<Record<string, string>>;

/** The texts of the Secrets that this is about, by their names. */
export type CertificateSecrets = Readonly<Record<string, SecretTexts | undefined>>;

interface Authority extends CertificateFacts {
  readonly pem: string;
  readonly x509: X509Certificate;
}

interface Signer extends Authority {
  readonly key: string;
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** Every certificate of a text that can be read, in its order. */
function authoritiesIn(text: string | undefined): Authority[] {
  return (text?.match(PEM_CERTIFICATE) ?? []).flatMap((pem) => {
    try {
      const x509 = new X509Certificate(pem);
      const facts = {
        id: x509.fingerprint256,
        notBeforeMs: x509.validFromDate.getTime(),
        notAfterMs: x509.validToDate.getTime(),
      };
      return [{ ...facts, pem: `${pem}\n`, x509 }];
    } catch {
      return [];
    }
  });
}

/** The first certificate of a text with its key; undefined where either cannot be read or they do not belong together. */
function withKey(text: string | undefined, key: string | undefined): Signer | undefined {
  const [first] = authoritiesIn(text);
  if (first === undefined || key === undefined) return undefined;
  try {
    return first.x509.checkPrivateKey(createPrivateKey(key)) ? { ...first, key } : undefined;
  } catch {
    return undefined;
  }
}

const signerIn = (text: string | undefined, key: string | undefined): Signer | undefined => {
  const found = withKey(text, key);
  return found?.x509.ca === true ? found : undefined;
};

/** Names that stock clients check, where they ask by Service or by ordinal. */
const dnsNamesOf = (role: Component, namespace: string): string[] => {
  const service = `${workloadName(role)}.${namespace}.svc`;
  return [workloadName(role), service, `*.${service}`];
};

const namesOf = (role: Component, namespace: string): string =>
  [`URI:${identityUri(namespace, role)}`, ...dnsNamesOf(role, namespace).map((name) => `DNS:${name}`)].join(', ');

interface Contents {
  readonly current: Signer | undefined;
  readonly next: Signer | undefined;
  readonly previous: readonly Authority[];
  readonly leaves: Readonly<Record<Component, LeafFacts | undefined>>;
}

function isIssuedBy(leaf: X509Certificate, { x509 }: Authority): boolean {
  try {
    return leaf.checkIssued(x509) && leaf.verify(x509.publicKey);
  } catch {
    return false;
  }
}

function contentsOf(secrets: CertificateSecrets, namespace: string): Contents {
  const ca = secrets[CA_SECRET] ?? {};
  const current = signerIn(ca['tls.crt'], ca['tls.key']);
  const next = signerIn(ca['next.crt'], ca['next.key']);
  const previous = authoritiesIn(ca['previous.crt']).filter(({ x509 }) => x509.ca);
  const authorities = [current, next, ...previous].filter((one) => one !== undefined);
  const leafOf = (role: Component): LeafFacts | undefined => {
    const data = secrets[tlsSecretName(role)] ?? {};
    const leaf = withKey(data['tls.crt'], data['tls.key']);
    if (leaf === undefined) return undefined;
    const { id, notBeforeMs, notAfterMs, x509 } = leaf;
    const issuer = authorities.find((authority) => isIssuedBy(x509, authority))?.id;
    return { id, notBeforeMs, notAfterMs, issuer, namesFit: x509.subjectAltName === namesOf(role, namespace) };
  };
  const leaves = { operator: leafOf('operator'), runtime: leafOf('runtime'), collector: leafOf('collector') };
  return { current, next, previous, leaves };
}

export interface CertificateChange {
  readonly plan: CertificatePlan<Component>;
  /** The whole Secrets as they should be, those that are as they should be included. */
  readonly secrets: readonly Child[];
  /** The operator's own leaf, key and trust bundle. */
  readonly own: TlsMaterial;
  /** When each ends, milliseconds since 1970. */
  readonly ends: Readonly<Record<Component | 'authority', number>>;
  /** For the log: `issued sluice-runtime until 2026-02-07T10:00:00Z`. */
  readonly notes: readonly string[];
}

const base64 = (texts: SecretTexts): Record<string, string> =>
  Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString('base64')]));

/** `data` of a Secret as the API gives it -> texts. */
export const decodeSecret = (data: Readonly<Record<string, string>> | undefined): SecretTexts =>
  Object.fromEntries(Object.entries(data ?? {}).map(([key, text]) => [key, Buffer.from(text, 'base64').toString()]));

const until = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

interface Authorities {
  readonly current: IssuedCertificate;
  readonly currentEndsMs: number;
  readonly next: IssuedCertificate | undefined;
  readonly notes: readonly string[];
}

const issuedOf = (signer: Signer): IssuedCertificate => ({ certificate: signer.pem, key: signer.key });

async function authoritiesAfter(
  plan: CertificatePlan<Component>,
  { current, next }: Contents,
  { caValidityMs }: CertificateDurations,
  nowMs: number,
): Promise<Authorities> {
  const validity = { notBeforeMs: nowMs - AUTHORITY_BACKDATE_MS, notAfterMs: nowMs + caValidityMs };
  const create = async (): Promise<Authorities> => ({
    current: await issueAuthority(validity),
    currentEndsMs: validity.notAfterMs,
    next: undefined,
    notes: [`made a new authority until ${until(validity.notAfterMs)}; no other is trusted any more`],
  });
  if (plan.authority === 'promote' && next !== undefined) {
    const notes = [`the next authority signs from now on, until ${until(next.notAfterMs)}`];
    return { current: issuedOf(next), currentEndsMs: next.notAfterMs, next: undefined, notes };
  }
  if (plan.authority === 'create' || current === undefined) return create();
  const kept = { current: issuedOf(current), currentEndsMs: current.notAfterMs };
  if (plan.authority === 'prepare') {
    const notes = [`made the next authority until ${until(validity.notAfterMs)}; it is made known before it signs`];
    return { ...kept, next: await issueAuthority(validity), notes };
  }
  const keptNext = plan.authority === 'keep' && next !== undefined ? issuedOf(next) : undefined;
  return {
    ...kept,
    next: keptNext,
    notes: plan.authority === 'drop' ? ['dropped a next authority that is not valid'] : [],
  };
}

const secretChild = (inputs: Inputs, component: Component, name: string, type: string, texts: SecretTexts): Child => ({
  ...childOf(inputs, component, 'v1', 'Secret', name),
  type,
  data: base64(texts),
});

/** Decides and makes: what the Secrets should be at `nowMs`, given what they are. */
export async function changeCertificates(
  inputs: Inputs,
  secrets: CertificateSecrets,
  durations: CertificateDurations,
  nowMs: number,
): Promise<CertificateChange> {
  const { namespace } = inputs.installation;
  const contents = contentsOf(secrets, namespace);
  const plan = planCertificates(contents, COMPONENTS, durations, nowMs);
  const { current, currentEndsMs, next, notes } = await authoritiesAfter(plan, contents, durations, nowMs);
  const previous = [contents.current, ...contents.previous].flatMap((one) =>
    one !== undefined && plan.previous.includes(one.id) ? [one.pem] : [],
  );
  const bundle = [current.certificate, ...(next === undefined ? [] : [next.certificate]), ...previous].join('');
  const notAfterMs = Math.min(nowMs + durations.leafValidityMs, currentEndsMs);
  const leafOf = async (role: Component): Promise<TlsMaterial> => {
    const held = secrets[tlsSecretName(role)] ?? {};
    const { certificate, key } = plan.issue.includes(role)
      ? await issueLeaf(current, {
          commonName: workloadName(role),
          uri: identityUri(namespace, role),
          dnsNames: dnsNamesOf(role, namespace),
          notBeforeMs: nowMs - LEAF_BACKDATE_MS,
          notAfterMs,
        })
      : { certificate: held['tls.crt'] ?? '', key: held['tls.key'] ?? '' };
    return { certificate, key, ca: bundle };
  };
  const [operator, runtime, collector] = await Promise.all([
    leafOf('operator'),
    leafOf('runtime'),
    leafOf('collector'),
  ]);
  const endOf = (role: Component): number =>
    plan.issue.includes(role) ? notAfterMs : (contents.leaves[role]?.notAfterMs ?? notAfterMs);
  const leafSecret = (role: Component, { certificate, key, ca }: TlsMaterial): Child =>
    secretChild(inputs, role, tlsSecretName(role), 'kubernetes.io/tls', {
      'ca.crt': ca,
      'tls.crt': certificate,
      'tls.key': key,
    });
  const authority = secretChild(inputs, 'operator', CA_SECRET, 'Opaque', {
    'ca.crt': bundle,
    'tls.crt': current.certificate,
    'tls.key': current.key,
    ...(next === undefined ? {} : { 'next.crt': next.certificate, 'next.key': next.key }),
    ...(previous.length === 0 ? {} : { 'previous.crt': previous.join('') }),
  });
  return {
    plan,
    secrets: [
      authority,
      leafSecret('operator', operator),
      leafSecret('runtime', runtime),
      leafSecret('collector', collector),
    ],
    own: operator,
    ends: {
      authority: currentEndsMs,
      operator: endOf('operator'),
      runtime: endOf('runtime'),
      collector: endOf('collector'),
    },
    notes: [...notes, ...plan.issue.map((role) => `issued ${workloadName(role)} until ${until(notAfterMs)}`)],
  };
}
