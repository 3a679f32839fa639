// identity.ndjson: names for the processes of a source folder, so that `df.ctx['pod']` has something to say.
//   {"upid":"1:4242:123","cmdline":"…","container":"…","pod":"shop/cart-0","namespace":"shop","services":["shop/cart"],
//    "node":"…","deployment":"shop/cart","podIP":"10.0.0.7"}
import { UNKNOWN_PROCESS, type IdentityLookup, type ProcessIdentity } from '../model/identity.ts';
import { formatUpid, parseUpid } from '../model/upid.ts';
import { readJsonLines, type JsonObject } from './json-lines.ts';
import { SourceError, type Place } from './source-error.ts';

/** Keys whose value is a text, and what they are called in an identity. */
const TEXT_KEYS: ReadonlyMap<string, keyof ProcessIdentity> = new Map([
  ['cmdline', 'cmdline'],
  ['container', 'container'],
  ['containerId', 'containerId'],
  ['pod', 'pod'],
  ['podId', 'podId'],
  ['namespace', 'namespace'],
  ['node', 'node'],
  ['hostname', 'hostname'],
  ['deployment', 'deployment'],
  ['deploymentId', 'deploymentId'],
  ['replicaset', 'replicaset'],
  ['replicasetId', 'replicasetId'],
  ['podIP', 'podIp'],
]);
const LIST_KEYS: readonly string[] = ['services', 'serviceIds'];
const KEYS: readonly string[] = ['upid', ...TEXT_KEYS.keys(), ...LIST_KEYS];

export const NO_IDENTITY: IdentityLookup = {
  process: () => undefined,
  podByIp: () => undefined,
  podByName: () => undefined,
  podById: () => undefined,
};

/**
 * Reads the file at `path`, called `file` in messages. The last line about a process wins; pods are found by the first line
 * that has their name, id or address. Throws `SourceError` for anything that it does not understand.
 */
export async function readIdentityFile(path: string, file: string): Promise<IdentityLookup> {
  const byUpid = new Map<string, ProcessIdentity>();
  const byIp = new Map<string, ProcessIdentity>();
  const byName = new Map<string, ProcessIdentity>();
  const byId = new Map<string, ProcessIdentity>();
  const index = (map: Map<string, ProcessIdentity>, key: string, identity: ProcessIdentity): void => {
    if (key !== '' && !map.has(key)) map.set(key, identity);
  };
  for await (const { line, value } of readJsonLines(path, file)) {
    const place: Place = { file, line };
    const identity = identityOf(value, place);
    if (value['upid'] !== undefined) byUpid.set(formatUpid(upidOf(value['upid'], place)), identity);
    index(byIp, identity.podIp, identity);
    index(byName, identity.pod, identity);
    index(byId, identity.podId, identity);
  }
  return {
    process: (upid) => byUpid.get(formatUpid(upid)),
    podByIp: (address) => byIp.get(address),
    podByName: (name) => byName.get(name),
    podById: (id) => byId.get(id),
  };
}

function upidOf(value: unknown, place: Place): ReturnType<typeof parseUpid> & object {
  const upid = typeof value === 'string' ? parseUpid(value) : undefined;
  if (upid === undefined)
    throw new SourceError({ ...place, column: 'upid' }, 'must be "asid:pid:start_ticks", all decimal');
  return upid;
}

function identityOf(value: JsonObject, place: Place): ProcessIdentity {
  const given: [string, unknown][] = [];
  for (const [key, entry] of Object.entries(value)) {
    const text = TEXT_KEYS.get(key);
    if (!KEYS.includes(key)) {
      throw new SourceError(place, `unknown key ${JSON.stringify(key).slice(0, 80)}; there are ${KEYS.join(', ')}`);
    }
    // null is what is not known, as in the tables
    if (key === 'upid' || entry === null) continue;
    if (text === undefined) {
      const isTexts = Array.isArray(entry) && entry.every((item) => typeof item === 'string');
      if (!isTexts) throw new SourceError({ ...place, column: key }, 'must be a list of strings');
    } else if (typeof entry !== 'string') {
      throw new SourceError({ ...place, column: key }, 'must be a string');
    }
    given.push([text ?? key, entry]);
  }
  const identity: ProcessIdentity = { ...UNKNOWN_PROCESS, ...Object.fromEntries(given) };
  if (identity.pod !== '' && !identity.pod.includes('/'))
    throw new SourceError({ ...place, column: 'pod' }, 'must be "namespace/name"');
  if (identity.namespace !== '') return identity;
  const named = identity.pod || (identity.services[0] ?? '');
  return { ...identity, namespace: named.slice(0, Math.max(0, named.indexOf('/'))) };
}
