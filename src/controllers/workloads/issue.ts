// Makes certificates: ECDSA on P-256 (RFC 5480), X.509 v3 (RFC 5280), by WebCrypto.
import './reflect.ts';
import { webcrypto } from 'node:crypto';
import type * as Library from '@peculiar/x509';

/** Loaded when the first certificate is made: after the polyfill, and by nobody who makes none. */
async function library(): Promise<typeof Library> {
  const loaded = await import('@peculiar/x509');
  loaded.cryptoProvider.set(webcrypto);
  return loaded;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** PEM. `key` is PKCS #8 and a secret: it goes into a Secret and nowhere else. */
export interface IssuedCertificate {
  readonly certificate: string;
  readonly key: string;
}

export interface Validity {
  /** Milliseconds since 1970; certificates have whole seconds. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export interface LeafRequest extends Validity {
  readonly commonName: string;
  /** The identity that peers check. */
  readonly uri: string;
  readonly dnsNames: readonly string[];
}

const newKeys = (): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);

const keyText = async (keys: webcrypto.CryptoKeyPair): Promise<string> =>
  `${(await library()).PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY')}\n`;

const certificateText = (certificate: Library.X509Certificate): string => `${certificate.toString('pem')}\n`;

/** 16 random bytes, positive and not zero (RFC 5280 4.1.2.2). */
function serialNumber(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}

const dates = ({ notBeforeMs, notAfterMs }: Validity): { notBefore: Date; notAfter: Date } => ({
  notBefore: new Date(Math.floor(notBeforeMs / 1000) * 1000),
  notAfter: new Date(Math.floor(notAfterMs / 1000) * 1000),
});

/** A root that signs leaves and no further authority. */
export async function issueAuthority(validity: Validity): Promise<IssuedCertificate> {
  const x509 = await library();
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    // the serial makes the names of two authorities differ, so that a peer never tries a leaf against the wrong one
    name: `CN=sluice-ca ${new Date(validity.notAfterMs).toISOString().slice(0, 19)}Z ${serialNumber().slice(0, 8)}`,
    ...dates(validity),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: certificateText(certificate), key: await keyText(keys) };
}

/** A leaf for both ends of a connection. Rejects where the authority's key is none. */
export async function issueLeaf(authority: IssuedCertificate, request: LeafRequest): Promise<IssuedCertificate> {
  const x509 = await library();
  const issuer = new x509.X509Certificate(authority.certificate);
  const signingKey = await webcrypto.subtle.importKey(
    'pkcs8',
    x509.PemConverter.decodeFirst(authority.key),
    ALGORITHM,
    false,
    ['sign'],
  );
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: `CN=${request.commonName}`,
    issuer: issuer.subject,
    ...dates(request),
    signingAlgorithm: ALGORITHM,
    signingKey,
    publicKey: keys.publicKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      new x509.SubjectAlternativeNameExtension([
        { type: 'url', value: request.uri },
        ...request.dnsNames.map((value) => ({ type: 'dns', value }) as const),
      ]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: certificateText(certificate), key: await keyText(keys) };
}
