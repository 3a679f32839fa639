// Where telemetry goes, with every reference already resolved to a value. Lives in memory only; never logged or stored.

export type DestinationType = 'OTLPGRPC' | 'OTLPHTTP' | 'PrometheusRemoteWrite' | 'Prometheus' | 'Zipkin' | 'Console';

export interface DestinationTls {
  readonly mode: 'TLS' | 'Plaintext';
  /** PEM. The system's roots where absent. */
  readonly ca?: string;
  readonly clientCertificate?: { readonly certificate: string; readonly key: string };
  readonly serverName?: string;
  readonly insecureSkipVerify: boolean;
}

export interface Destination {
  readonly type: DestinationType;
  /** `host:port` for OTLPGRPC; empty for Console. */
  readonly endpoint: string;
  /** Lower-case names. Includes what `auth` amounts to. */
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  readonly tls: DestinationTls;
  readonly compression: 'gzip' | 'none';
  readonly timeoutMs: number;
  /** Added to every resource; they win over the script's own. */
  readonly resourceAttributes: Readonly<Record<string, string>>;
}
