// The address of an OTLP/gRPC destination: `host:port`, or `http(s)://host:port` whose scheme then decides about TLS.
import type { Destination } from '../../model/destination.ts';

export interface GrpcEndpoint {
  /** IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  readonly isSecure: boolean;
  /** `host:port` as in the :authority header, brackets included. */
  readonly authority: string;
}

const DEFAULT_PORT = 4317;
const ENDPOINT = /^(?:(https?):\/\/)?(?:\[([0-9a-fA-F:.]+)\]|([^\s:/@[\]]+))(?::(\d{1,5}))?\/?$/i;

/** @returns What is wrong with the text, where it is no address. */
export function parseGrpcEndpoint(destination: Destination): GrpcEndpoint | { readonly invalid: string } {
  const match = ENDPOINT.exec(destination.endpoint.trim());
  const [, scheme, ipv6, name, portText] = match ?? [];
  const port = portText === undefined ? DEFAULT_PORT : Number(portText);
  const host = ipv6 ?? name;
  if (host === undefined || port < 1 || port > 65_535) {
    const shown = destination.endpoint.replace(/\/\/[^/]*@/, '//***@').slice(0, 128);
    return { invalid: `${JSON.stringify(shown)} is not host:port, such as collector.example:4317` };
  }
  return {
    host,
    port,
    isSecure: scheme === undefined ? destination.tls.mode === 'TLS' : scheme.toLowerCase() === 'https',
    authority: `${ipv6 === undefined ? host : `[${host}]`}:${port}`,
  };
}
