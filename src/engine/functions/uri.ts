// URIs, request paths and addresses, and our http_route.
import { BlockList, isIP } from 'node:net';
import { asByteString, type ByteString } from '../byte-string.ts';
import { parseJson } from './json-parse.ts';
import { quoteJson } from './json-text.ts';
import { I, perDistinct, S, toB, toS, type Implementations } from './kernel.ts';

/** Scheme, authority, path, query and fragment of RFC 3986 appendix B. */
const URI = /^(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s;
const AUTHORITY = /^(?:([^@]*)@)?(\[[0-9A-Fa-f:.vV]*\]|[^:@[\]]*)(?::(.*))?$/s;
/** Characters that may stand in a URI, percent signs only before two hex digits. */
const ALLOWED = /^(?:[A-Za-z0-9._~:/?#[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*$/;
const PORT_MAX = 0x7fff_ffffn;

const FAILED = asByteString('Failed to parse URI');
const BAD_PORT = asByteString('Port parsing failed.');

/** The parts that are present as JSON; no percent-decoding. */
function uriParse(uri: ByteString): ByteString {
  const parts = ALLOWED.test(uri) ? URI.exec(uri) : null;
  if (parts === null) return FAILED;
  const [, scheme, authority, path = '', query, fragment] = parts;
  // Without a scheme, the first segment of a relative path has no colon (RFC 3986, 4.2).
  if (scheme === undefined && authority === undefined && /^[^/]*:/.test(path)) return FAILED;
  const members: string[] = [];
  const add = (name: string, value: string | undefined): void => {
    if (value !== undefined) members.push(`"${name}":${quoteJson(asByteString(value))}`);
  };
  add('scheme', scheme);
  if (authority !== undefined) {
    const host = AUTHORITY.exec(authority);
    if (host === null) return FAILED;
    add('userInfo', host[1]);
    add('host', host[2]?.replace(/^\[(.*)\]$/, '$1'));
    if (host[3] !== undefined) {
      if (!/^[0-9]+$/.test(host[3]) || BigInt(host[3]) > PORT_MAX) return BAD_PORT;
      members.push(`"port":${BigInt(host[3])}`);
    }
  }
  const segments = authority === undefined ? path : path.replace(/^\//, '');
  if (segments !== '') add('path', segments);
  add('query', query);
  add('fragment', fragment);
  return asByteString(`{${members.join(',')}}`);
}

/** Empty parts and port 0 are left out; `/` always comes before the path. */
function uriRecompose(
  scheme: ByteString,
  userInfo: ByteString,
  host: ByteString,
  port: bigint,
  path: ByteString,
  query: ByteString,
  fragment: ByteString,
): ByteString {
  if (port < 0n) return asByteString('Failed to recompose URI');
  const before = `${scheme === '' ? '' : `${scheme}:`}${host === '' ? '' : '//'}${userInfo === '' ? '' : `${userInfo}@`}`;
  const after = `${query === '' ? '' : `?${query}`}${fragment === '' ? '' : `#${fragment}`}`;
  return asByteString(`${before}${host}${port === 0n ? '' : `:${port}`}/${path}${after}`);
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** Eight hex digits without a decimal one are more likely a word (`deadbeef`, `facade`) than an identifier. */
const LONG_HEX = /^(?=[^0-9]*[0-9])[0-9a-f]{8,}$/i;

const isIdentifier = (segment: string): boolean =>
  /^[0-9]+$/.test(segment) || LONG_HEX.test(segment) || UUID.test(segment);

/**
 * A request path as a route of low cardinality: without query and fragment, each segment that is all digits, eight or
 * more hex digits (one of them decimal) or a UUID is `{id}`. An empty path is `/`.
 */
export function httpRoute(path: ByteString): ByteString {
  const end = path.search(/[?#]/);
  const bare = end < 0 ? path : path.slice(0, end);
  if (bare === '') return asByteString('/');
  return asByteString(
    bare
      .split('/')
      .map((segment) => (isIdentifier(segment) ? '{id}' : segment))
      .join('/'),
  );
}

function matchEndpoint(path: ByteString, template: ByteString): boolean {
  const parts = componentsOf(path);
  const wanted = componentsOf(template);
  return parts.length === wanted.length && wanted.every((part, i) => part === '*' || part === parts[i]);
}

const componentsOf = (path: ByteString): readonly string[] => (path.split('?')[0] ?? '').replace(/^\//, '').split('/');

/** IPv4 ranges also hold the IPv4-mapped IPv6 forms of their addresses, and the other way round. */
function cidrsContain(cidrs: ByteString, ip: ByteString): boolean {
  const parsed = parseJson(cidrs);
  if (parsed?.kind !== 'array' || isIP(ip) === 0) return false;
  const ranges = new BlockList();
  for (const item of parsed.items) {
    if (item.kind !== 'string') return false;
    const [, address = '', prefix = ''] = /^([^/]*)\/([0-9]{1,3})$/.exec(item.value) ?? [];
    const family = isIP(address);
    if (family === 0 || Number(prefix) > (family === 4 ? 32 : 128)) continue;
    ranges.addSubnet(address, Number(prefix), family === 4 ? 'ipv4' : 'ipv6');
  }
  return ranges.check(ip, isIP(ip) === 4 ? 'ipv4' : 'ipv6') || (isIP(ip) === 4 && ranges.check(`::ffff:${ip}`, 'ipv6'));
}

export const URIS: Implementations = {
  'uri_parse:S': () => perDistinct([S], toS, uriParse),
  'uri_recompose:SSSISSS': () => perDistinct([S, S, S, I, S, S, S], toS, uriRecompose),
  'http_route:S': () => perDistinct([S], toS, httpRoute),
  '_match_endpoint:SS': () => perDistinct([S, S], toB, matchEndpoint),
  'cidrs_contain_ip:SS': () => perDistinct([S, S], toB, cidrsContain),
  // The engine asks no name server: the answer would depend on when and where it asks.
  'nslookup:S': () => perDistinct([S], toS, (address) => address),
};
