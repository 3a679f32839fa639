import type { Destination } from '../../../src/model/destination.ts';

/** A plaintext OTLP/gRPC destination without credentials. */
export const destination = (changes: Partial<Destination> = {}): Destination => ({
  type: 'OTLPGRPC',
  endpoint: '127.0.0.1:4317',
  headers: [],
  tls: { mode: 'Plaintext', insecureSkipVerify: false },
  compression: 'gzip',
  timeoutMs: 10_000,
  resourceAttributes: {},
  ...changes,
});
