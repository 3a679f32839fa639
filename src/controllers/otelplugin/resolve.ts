// An OtelPlugin and the Secrets and ConfigMaps that it names -> the destination with every value in it, or what is
// missing and what to do. Pure; in a cluster and in `sluice local` alike.
import { parseDurationMs } from '../../crds/duration.ts';
import type { OtelPlugin } from '../../crds/otel-plugin.ts';
import type { Fault } from '../../crds/script-conditions.ts';
import { secretForbidden } from '../../crds/secret-access.ts';
import type { Destination, DestinationTls } from '../../model/destination.ts';

/** The values of an object that a manifest names, or why they are not there. */
export type KeyValuesFound =
  | ReadonlyMap<string, Uint8Array>
  | 'absent'
  /** The operator has no right to read it. */
  | 'forbidden'
  /** It was asked for and not answered yet. */
  | 'pending';

export type KeyLookup = (kind: 'Secret' | 'ConfigMap', name: string) => KeyValuesFound;

/** Who is to be given the right to read a Secret, and where that is. */
export interface Reader {
  readonly namespace: string;
  readonly operatorNamespace: string;
}

export type Resolution =
  | { readonly ok: true; readonly destination: Destination }
  | { readonly ok: false; readonly condition: 'destination' | 'credentials'; readonly fault: Fault };

/** Destination types that this build can send to. */
const AVAILABLE: readonly string[] = ['OTLPGRPC', 'Console'];

class Unresolved extends Error {
  readonly reason: string;
  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

interface Look {
  readonly lookup: KeyLookup;
  readonly reader: Reader | undefined;
}

type SecretKey = { readonly name: string; readonly key: string };

/** The values of an object, for whoever cannot go on without. @throws Unresolved */
function valuesOf(
  lookup: KeyLookup,
  kind: 'Secret' | 'ConfigMap',
  name: string,
  reader: Reader | undefined,
): ReadonlyMap<string, Uint8Array> {
  const values = lookup(kind, name);
  switch (values) {
    case 'absent':
      throw new Unresolved(`${kind}NotFound`, `${kind} "${name}" is not there; create it`);
    case 'forbidden':
      if (kind === 'Secret' && reader !== undefined) {
        const { reason, message } = secretForbidden(reader.namespace, name, reader.operatorNamespace);
        throw new Unresolved(reason, message);
      }
      throw new Unresolved(`${kind}Forbidden`, `the operator may not read ${kind} "${name}"`);
    case 'pending':
      throw new Unresolved('Pending', `${kind} "${name}" is being read`);
    default:
      return values;
  }
}

function valueAt(look: Look, kind: 'Secret' | 'ConfigMap', { name, key }: SecretKey): string {
  const bytes = valuesOf(look.lookup, kind, name, look.reader).get(key);
  if (bytes === undefined) throw new Unresolved('KeyNotFound', `${kind} "${name}" has no key "${key}"; add it`);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new Unresolved('InvalidValue', `key "${key}" of ${kind} "${name}" is not text: ${String(cause)}`);
  }
  return text;
}

/** Characters of a header's value; servers take 8 to 16 KiB in all. */
const HEADER_MAX = 16 * 1024;
/** Characters of a private key. */
const KEY_MAX = 64 * 1024;

const tooLong = (name: string, key: string, most: number): Unresolved =>
  new Unresolved('InvalidValue', `key "${key}" of Secret "${name}" has more than ${most} characters`);

/** A value that goes into a header: one final newline is forgiven, any other control character is not. */
function headerValue(look: Look, ref: SecretKey): string {
  const text = valueAt(look, 'Secret', ref).replace(/\r?\n$/, '');
  if (text.length > HEADER_MAX) throw tooLong(ref.name, ref.key, HEADER_MAX);
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f]/.test(text)) {
    throw new Unresolved(
      'InvalidValue',
      `key "${ref.key}" of Secret "${ref.name}" has a control character; a header cannot carry it`,
    );
  }
  return text;
}

function privateKey(look: Look, name: string): string {
  const text = valueAt(look, 'Secret', { name, key: 'tls.key' });
  if (text.length > KEY_MAX) throw tooLong(name, 'tls.key', KEY_MAX);
  return text;
}

function headersOf({ destination }: OtelPlugin['spec'], look: Look): { name: string; value: string }[] {
  const headers = (destination.headers ?? []).map(({ name, value, valueFrom }) => ({
    name: name.toLowerCase(),
    value: valueFrom === undefined ? (value ?? '') : headerValue(look, valueFrom.secretKeyRef),
  }));
  const { basic, bearer } = destination.auth ?? {};
  if (bearer !== undefined)
    headers.push({ name: 'authorization', value: `Bearer ${headerValue(look, bearer.secretKeyRef)}` });
  if (basic !== undefined) {
    const user = headerValue(look, basic.username.secretKeyRef);
    const password = headerValue(look, basic.password.secretKeyRef);
    headers.push({ name: 'authorization', value: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` });
  }
  return headers;
}

function tlsOf({ destination }: OtelPlugin['spec'], look: Look): DestinationTls {
  const tls = destination.tls ?? {};
  const { ca, clientCertificate } = tls;
  const scheme = /^(https?):\/\//i.exec(destination.endpoint ?? '')?.[1]?.toLowerCase();
  return {
    mode: scheme === 'http' ? 'Plaintext' : scheme === 'https' ? 'TLS' : (tls.mode ?? 'TLS'),
    insecureSkipVerify: tls.insecureSkipVerify ?? false,
    ...(tls.serverName === undefined ? {} : { serverName: tls.serverName }),
    ...(ca?.secretKeyRef === undefined ? {} : { ca: valueAt(look, 'Secret', ca.secretKeyRef) }),
    ...(ca?.configMapKeyRef === undefined ? {} : { ca: valueAt(look, 'ConfigMap', ca.configMapKeyRef) }),
    ...(clientCertificate === undefined
      ? {}
      : {
          clientCertificate: {
            certificate: valueAt(look, 'Secret', { name: clientCertificate.secretRef.name, key: 'tls.crt' }),
            key: privateKey(look, clientCertificate.secretRef.name),
          },
        }),
  };
}

/** Names of all Secrets and ConfigMaps that a plugin's destination needs. */
export function referencesOf({ destination }: OtelPlugin['spec']): {
  readonly secrets: readonly string[];
  readonly configMaps: readonly string[];
} {
  const { auth, tls } = destination;
  const secrets = [
    ...(destination.headers ?? []).map(({ valueFrom }) => valueFrom?.secretKeyRef.name),
    auth?.basic?.username.secretKeyRef.name,
    auth?.basic?.password.secretKeyRef.name,
    auth?.bearer?.secretKeyRef.name,
    tls?.ca?.secretKeyRef?.name,
    tls?.clientCertificate?.secretRef.name,
  ].filter((name) => name !== undefined);
  const configMap = tls?.ca?.configMapKeyRef?.name;
  return { secrets: [...new Set(secrets)], configMaps: configMap === undefined ? [] : [configMap] };
}

/** Resolves every reference of a plugin's destination. `reader`: whom the owner of a Secret can let read it. */
export function resolveDestination({ spec }: OtelPlugin, lookup: KeyLookup, reader?: Reader): Resolution {
  const { destination } = spec;
  const look: Look = { lookup, reader };
  if (!AVAILABLE.includes(destination.type)) {
    const message = `type ${destination.type} is not in this version; available are ${AVAILABLE.join(', ')}`;
    return { ok: false, condition: 'destination', fault: { reason: 'DestinationNotAvailable', message } };
  }
  if (destination.proxy !== undefined) {
    const fault = {
      reason: 'DestinationNotAvailable',
      message: 'proxy is not in this version; remove spec.destination.proxy',
    };
    return { ok: false, condition: 'destination', fault };
  }
  if (destination.temporality !== undefined) {
    const message =
      'temporality is not in this version; remove spec.destination.temporality (sums are as the script says)';
    return { ok: false, condition: 'destination', fault: { reason: 'DestinationNotAvailable', message } };
  }
  try {
    return {
      ok: true,
      destination: {
        type: destination.type,
        endpoint: (destination.endpoint ?? '').replace(/^https?:\/\//i, '').replace(/\/$/, ''),
        headers: headersOf(spec, look),
        tls: tlsOf(spec, look),
        compression: destination.compression ?? 'gzip',
        timeoutMs: parseDurationMs(destination.timeout ?? '10s') ?? 10_000,
        resourceAttributes: spec.resourceAttributes ?? {},
      },
    };
  } catch (error) {
    if (!(error instanceof Unresolved)) throw error;
    return { ok: false, condition: 'credentials', fault: { reason: error.reason, message: error.message } };
  }
}
