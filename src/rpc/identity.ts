// Who the other side of a connection is: the SPIFFE id in its certificate's URI SAN (SPIFFE X.509-SVID, section 2: exactly
// one), and what that id may do. A certificate of our CA alone means nothing.
import type { PeerCertificate } from 'node:tls';

export type Role = 'operator' | 'runtime' | 'collector';

export interface Identity {
  readonly uri: string;
  readonly namespace: string;
  /** Path behind the namespace, such as `sa/sluice-runtime`. */
  readonly path: string;
}

/** DNS-1123 label: names of namespaces. */
const PATTERN = /^spiffe:\/\/sluice\/ns\/([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)\/([A-Za-z0-9._\-/]{1,500})$/;

/** Reads `spiffe://sluice/ns/<namespace>/…`; undefined for anything else. */
export function parseIdentity(uri: string): Identity | undefined {
  const [, namespace, path] = PATTERN.exec(uri) ?? [];
  return namespace === undefined || path === undefined ? undefined : { uri, namespace, path };
}

export const identityUri = (namespace: string, role: Role): string =>
  `spiffe://sluice/ns/${namespace}/sa/sluice-${role}`;

/** Whether `identity` is that role of that namespace. */
export const isRole = (identity: Identity, namespace: string, role: Role): boolean =>
  identity.uri === identityUri(namespace, role);

/**
 * The URIs of a subjectAltName as Node prints it: `URI:spiffe://…, DNS:"…"`. Values with separators in them are JSON
 * strings there (CVE-2021-44532), so a comma inside of quotes separates nothing.
 */
export function urisOf(subjectAltName: string): string[] {
  const entries = subjectAltName.match(/(?:[^,"]|"(?:[^"\\]|\\.)*")+/g) ?? [];
  return entries.map((entry) => entry.trim()).flatMap((entry) => (entry.startsWith('URI:') ? entry.slice(4) : []));
}

/** The identity that a certificate states; undefined where it has none, several URIs, or one that is not ours. */
export function identityOf(certificate: Pick<PeerCertificate, 'subjectaltname'> | undefined): Identity | undefined {
  const uris = urisOf(certificate?.subjectaltname ?? '');
  const [uri] = uris;
  return uri === undefined || uris.length > 1 ? undefined : parseIdentity(uri);
}
