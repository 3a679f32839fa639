// An OtelPlugin and the Secrets and ConfigMaps that it names -> the destination with every value in it, or what is
// missing and what to do. Pure; in a cluster and in `sluice local` alike.
import { parseDurationMs } from '../../crds/duration.ts';
import type { OtelPlugin } from '../../crds/otel-plugin.ts';
import type { Fault } from '../../crds/script-conditions.ts';
import type { Destination, DestinationTls } from '../../model/destination.ts';

/** Looks a value up; `undefined` for an object that is not there (or may not be read). */
export type KeyLookup = (kind: 'Secret' | 'ConfigMap', name: string) => ReadonlyMap<string, Uint8Array> | undefined;

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

type SecretKey = { readonly name: string; readonly key: string };

function valueAt(lookup: KeyLookup, kind: 'Secret' | 'ConfigMap', { name, key }: SecretKey): string {
  const values = lookup(kind, name);
  if (values === undefined) throw new Unresolved(`${kind}NotFound`, `${kind} "${name}" is not there; create it`);
  const bytes = values.get(key);
  if (bytes === undefined) throw new Unresolved('KeyNotFound', `${kind} "${name}" has no key "${key}"; add it`);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new Unresolved('InvalidValue', `key "${key}" of ${kind} "${name}" is not text: ${String(cause)}`);
  }
  return text;
}

/** A value that goes into a header: one final newline is forgiven, any other control character is not. */
function headerValue(lookup: KeyLookup, ref: SecretKey): string {
  const text = valueAt(lookup, 'Secret', ref).replace(/\r?\n$/, '');
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f]/.test(text)) {
    throw new Unresolved(
      'InvalidValue',
      `key "${ref.key}" of Secret "${ref.name}" has a control character; a header cannot carry it`,
    );
  }
  return text;
}

function headersOf({ destination }: OtelPlugin['spec'], lookup: KeyLookup): { name: string; value: string }[] {
  const headers = (destination.headers ?? []).map(({ name, value, valueFrom }) => ({
    name: name.toLowerCase(),
    value: valueFrom === undefined ? (value ?? '') : headerValue(lookup, valueFrom.secretKeyRef),
  }));
  const { basic, bearer } = destination.auth ?? {};
  if (bearer !== undefined)
    headers.push({ name: 'authorization', value: `Bearer ${headerValue(lookup, bearer.secretKeyRef)}` });
  if (basic !== undefined) {
    const user = headerValue(lookup, basic.username.secretKeyRef);
    const password = headerValue(lookup, basic.password.secretKeyRef);
    headers.push({ name: 'authorization', value: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` });
  }
  return headers;
}

function tlsOf({ destination }: OtelPlugin['spec'], lookup: KeyLookup): DestinationTls {
  const tls = destination.tls ?? {};
  const { ca, clientCertificate } = tls;
  const scheme = /^(https?):\/\//i.exec(destination.endpoint ?? '')?.[1]?.toLowerCase();
  return {
    mode: scheme === 'http' ? 'Plaintext' : scheme === 'https' ? 'TLS' : (tls.mode ?? 'TLS'),
    insecureSkipVerify: tls.insecureSkipVerify ?? false,
    ...(tls.serverName === undefined ? {} : { serverName: tls.serverName }),
    ...(ca?.secretKeyRef === undefined ? {} : { ca: valueAt(lookup, 'Secret', ca.secretKeyRef) }),
    ...(ca?.configMapKeyRef === undefined ? {} : { ca: valueAt(lookup, 'ConfigMap', ca.configMapKeyRef) }),
    ...(clientCertificate === undefined
      ? {}
      : {
          clientCertificate: {
            certificate: valueAt(lookup, 'Secret', { name: clientCertificate.secretRef.name, key: 'tls.crt' }),
            key: valueAt(lookup, 'Secret', { name: clientCertificate.secretRef.name, key: 'tls.key' }),
          },
        }),
  };
}

/** Resolves every reference of a plugin's destination. */
export function resolveDestination({ spec }: OtelPlugin, lookup: KeyLookup): Resolution {
  const { destination } = spec;
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
        headers: headersOf(spec, lookup),
        tls: tlsOf(spec, lookup),
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
