// Where a cluster's runtime may connect to. Whoever may write an OtelPlugin chooses an address that we then speak to from
// inside the cluster (server-side request forgery), so names are resolved here, every address is looked at in all its
// disguises, and the connection goes to the address that was looked at.
import { lookup as systemLookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Lookup } from '../exporters/sender.ts';
import { REFUSED_RANGES } from '../model/refused-ranges.ts';

/** 16 bytes; IPv4 as its mapped form. */
export type AddressBytes = Uint8Array;

export interface AddressRange {
  readonly bytes: AddressBytes;
  /** Of 128. */
  readonly bits: number;
}

export interface EndpointGuardOptions {
  /** Ranges that may be connected to although they are refused otherwise. */
  readonly allowed?: readonly AddressRange[];
  /** Addresses of the API server, as far as they are known now. */
  readonly apiServer?: () => readonly string[];
  /** Names to addresses, in the order of preference; the system's resolver, which knows a pod's search domains. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
}

const MAPPED_BITS = 96;

/** The bytes of an address as it is written; undefined for what is none. A zone is not looked at. */
export function addressBytes(text: string): AddressBytes | undefined {
  const address = text.replace(/%.*$/, '');
  const family = isIP(address);
  if (family === 0) return undefined;
  const bytes = new Uint8Array(16);
  if (family === 4) {
    bytes.set([0xff, 0xff, ...address.split('.').map(Number)], 10);
    return bytes;
  }
  // a dotted tail is the last four bytes
  const dotted = /:(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const hex = dotted === null ? address : address.slice(0, dotted.index + 1) + tailOf(dotted.slice(1).map(Number));
  const [head = '', tail] = hex.split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const [before, after] = [groups(head), groups(tail ?? '')];
  const all = tail === undefined ? before : [...before, ...Array(8 - before.length - after.length).fill(0), ...after];
  all.forEach((group: number, i) => bytes.set([group >> 8, group & 0xff], i * 2));
  return bytes;
}

const tailOf = ([a = 0, b = 0, c = 0, d = 0]: readonly number[]): string =>
  `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;

/** `10.0.0.0/8`, `fd00::/8`, or one address; undefined for what is none. */
export function parseAddressRange(text: string): AddressRange | undefined {
  const [address = '', length, more] = text.split('/');
  const bytes = addressBytes(address);
  if (bytes === undefined || more !== undefined || address.includes('%')) return undefined;
  const offset = isIP(address) === 4 ? MAPPED_BITS : 0;
  if (length === undefined) return { bytes, bits: 128 };
  if (!/^\d{1,3}$/.test(length) || Number(length) + offset > 128) return undefined;
  return { bytes, bits: Number(length) + offset };
}

export function isWithin(address: AddressBytes, { bytes, bits }: AddressRange): boolean {
  for (let i = 0; i * 8 < bits; i++) {
    const mask = bits - i * 8 >= 8 ? 0xff : 0xff & (0xff << (8 - (bits - i * 8)));
    if (((address[i] ?? 0) & mask) !== ((bytes[i] ?? 0) & mask)) return false;
  }
  return true;
}

const range = (text: string): AddressRange => {
  const parsed = parseAddressRange(text);
  if (parsed === undefined) throw new TypeError(`${text} is no range`);
  return parsed;
};

const REFUSED = REFUSED_RANGES.map(({ cidr, what }) => ({ range: range(cidr), what }));

/** Addresses that carry an IPv4 address: at which byte it is. Teredo has it inverted. */
const EMBEDDED: readonly { readonly range: AddressRange; readonly at: number; readonly isInverted?: true }[] = [
  // IPv4-compatible (RFC 4291 section 2.5.5.1) and IPv4-translated (RFC 2765)
  { range: range('::/96'), at: 12 },
  { range: range('::ffff:0:0:0/96'), at: 12 },
  // NAT64 (RFC 6052), and a network's own prefix for it (RFC 8215) in its /96 form
  { range: range('64:ff9b::/96'), at: 12 },
  { range: range('64:ff9b:1::/48'), at: 12 },
  // 6to4 (RFC 3056)
  { range: range('2002::/16'), at: 2 },
  // Teredo (RFC 4380): the server's address, and the client's
  { range: range('2001::/32'), at: 4 },
  { range: range('2001::/32'), at: 12, isInverted: true },
];

const MAPPED = range('::ffff:0:0/96');
const UNSPECIFIED_AND_LOOPBACK = range('::/127');
const ISATAP = Uint8Array.of(0, 0, 0x5e, 0xfe);

/** The address and every other that it stands for. */
export function meaningsOf(address: AddressBytes): AddressBytes[] {
  if (isWithin(address, MAPPED) || isWithin(address, UNSPECIFIED_AND_LOOPBACK)) return [address];
  const mapped = (at: number, isInverted = false): AddressBytes => {
    const bytes = new Uint8Array(16);
    bytes.set([0xff, 0xff], 10);
    for (let i = 0; i < 4; i++) bytes[12 + i] = (address[at + i] ?? 0) ^ (isInverted ? 0xff : 0);
    return bytes;
  };
  const embedded = EMBEDDED.filter(({ range: within }) => isWithin(address, within)).map(({ at, isInverted }) =>
    mapped(at, isInverted),
  );
  // ISATAP (RFC 5214): an interface identifier in any prefix, its first byte's global bits aside
  const isIsatap = ISATAP.every((byte, i) => ((address[8 + i] ?? 0) & (i === 0 ? 0xfc : 0xff)) === byte);
  return [address, ...embedded, ...(isIsatap ? [mapped(12)] : [])];
}

/** Why an address may not be connected to; undefined where it may. */
export function refusalOf(text: string, options: EndpointGuardOptions = {}): string | undefined {
  const address = addressBytes(text);
  if (address === undefined) return 'no address';
  const { allowed = [], apiServer } = options;
  const ofApiServer = (apiServer?.() ?? []).flatMap((one) => addressBytes(one) ?? []);
  for (const meaning of meaningsOf(address)) {
    if (allowed.some((within) => isWithin(meaning, within))) continue;
    if (ofApiServer.some((own) => isWithin(meaning, { bytes: own, bits: 128 }))) return "the API server's address";
    const found = REFUSED.find(({ range: within }) => isWithin(meaning, within));
    if (found !== undefined) return found.what;
  }
  return undefined;
}

const resolveName = async (host: string): Promise<readonly string[]> =>
  (await systemLookup(host, { all: true })).map(({ address }) => address);

/**
 * The look-up that senders take. A name with one address that may not be connected to is refused as a whole: which of
 * them a connection would take is up to whoever answers for the name.
 */
export function createEndpointGuard(options: EndpointGuardOptions = {}): Lookup {
  const resolve = options.resolve ?? resolveName;
  return async (host) => {
    const addresses = isIP(host) === 0 ? await resolve(host) : [host];
    for (const address of addresses) {
      const what = refusalOf(address, options);
      if (what === undefined) continue;
      const where = address === host ? host : `${host} (${address})`;
      return { forbidden: `${where} is ${what}: nothing is sent there unless the settings allow the range` };
    }
    return { addresses };
  };
}
