// What a transport sends requests over. There are two kinds: undici's (transport-connections.ts) for the work of a process, and
// Node's own (plain-connections.ts) for a thread that asks one small thing every two seconds.
import type { IncomingHttpHeaders } from 'node:http';
import type { Credentials } from './config.ts';

export interface ConnectionRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  /** How long the connection may be silent before the head of the answer, and within its body; 0: for ever. */
  readonly headersTimeoutMs: number;
  readonly bodyTimeoutMs: number;
  /** Breaks the request or the body of its answer, with the signal's reason. */
  readonly signal: AbortSignal | undefined;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** To be read or destroyed. */
  readonly body: AsyncIterable<Uint8Array> & { destroy(error?: Error): unknown };
}

export interface Connections {
  /** Resolves with the head of the answer. */
  request(request: ConnectionRequest): Promise<Answer>;
}

export interface ConnectionPools {
  /** Two with the same `tlsId` share connections; others get new ones, and what runs on the old ones ends by itself. */
  forRequests(credentials: Credentials): Connections;
  forWatches(credentials: Credentials): Connections;
  /** Breaks what still runs. */
  close(): Promise<void>;
}
