// Certificate authorities and leaves in memory, for tests of mutual TLS: X.509 (RFC 5280) written as DER by hand, because
// tests want leaves that openssl's commands do not make: expired ones, several URIs, names with commas in them.
import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import type { TlsMaterial } from '../../src/rpc/tls.ts';

const HOUR_MS = 3_600_000;

function der(tag: number, ...content: (Uint8Array | readonly Uint8Array[])[]): Buffer {
  const body = Buffer.concat(content.flat());
  const { length } = body;
  const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), body]);
}

const sequence = (...parts: (Uint8Array | readonly Uint8Array[])[]): Buffer => der(0x30, ...parts);
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'));
const ECDSA_SHA256 = sequence(oid('2a8648ce3d040302'));
const nameOf = (text: string): Buffer => sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(text)))));
const timeOf = (ms: number): Buffer =>
  der(0x18, Buffer.from(`${new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+Z/g, '')}Z`));
const extension = (id: string, value: Buffer): Buffer =>
  sequence(oid(id), der(0x01, Buffer.from([0xff])), der(0x04, value));

interface Contents {
  readonly issuer: string;
  readonly subject: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly publicKey: KeyObject;
  readonly extensions: readonly Buffer[];
}

function signed(contents: Contents, key: KeyObject): string {
  const { issuer, subject, notBeforeMs, notAfterMs, publicKey, extensions } = contents;
  const tbs = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ECDSA_SHA256,
    nameOf(issuer),
    sequence(timeOf(notBeforeMs), timeOf(notAfterMs)),
    nameOf(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    ...(extensions.length === 0 ? [] : [der(0xa3, sequence(extensions))]),
  );
  const signature = der(0x03, Buffer.from([0]), sign('sha256', tbs, key));
  const lines = sequence(tbs, ECDSA_SHA256, signature)
    .toString('base64')
    .match(/.{1,64}/g);
  return ['-----BEGIN CERTIFICATE-----', ...(lines ?? []), '-----END CERTIFICATE-----', ''].join('\n');
}

export interface LeafOptions {
  readonly uris?: readonly string[];
  readonly dns?: readonly string[];
  readonly notBeforeMs?: number;
  readonly notAfterMs?: number;
  /** The bundle beside it; the authority's own certificate where not given. */
  readonly ca?: string;
}

export interface Authority {
  readonly certificate: string;
  leaf(options: LeafOptions): TlsMaterial;
  /** The leaf of a role of `sluice-system`. */
  role(role: string, more?: LeafOptions): TlsMaterial;
}

const newKeys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });

export function createAuthority(name = 'test'): Authority {
  const own = newKeys();
  const certificate = signed(
    {
      issuer: name,
      subject: name,
      notBeforeMs: Date.now() - 24 * HOUR_MS,
      notAfterMs: Date.now() + 24 * HOUR_MS,
      publicKey: own.publicKey,
      extensions: [extension('551d13', sequence(der(0x01, Buffer.from([0xff]))))],
    },
    own.privateKey,
  );
  const leaf = (options: LeafOptions): TlsMaterial => {
    const { publicKey, privateKey } = newKeys();
    const names = [
      ...(options.uris ?? []).map((uri) => der(0x86, Buffer.from(uri))),
      ...(options.dns ?? []).map((dns) => der(0x82, Buffer.from(dns))),
    ];
    const contents = {
      issuer: name,
      subject: 'leaf',
      notBeforeMs: options.notBeforeMs ?? Date.now() - HOUR_MS,
      notAfterMs: options.notAfterMs ?? Date.now() + HOUR_MS,
      publicKey,
      extensions: names.length === 0 ? [] : [extension('551d11', sequence(names))],
    };
    return {
      certificate: signed(contents, own.privateKey),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      ca: options.ca ?? certificate,
    };
  };
  return {
    certificate,
    leaf,
    role: (role, more = {}) => leaf({ uris: [`spiffe://sluice/ns/sluice-system/sa/sluice-${role}`], ...more }),
  };
}
