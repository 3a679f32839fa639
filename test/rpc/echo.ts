// A server with one method that answers what it was asked, for tests of what lies below the contracts.
import { openChannel, type Channel, type ChannelOptions } from '../../src/rpc/channel.ts';
import { isRole } from '../../src/rpc/identity.ts';
import { startRpcServer, type Refusal, type RpcServer } from '../../src/rpc/server.ts';
import type { TlsSource } from '../../src/rpc/tls.ts';

export const ECHO = '/test.Echo/Echo';
export const SLOW = '/test.Echo/Slow';

export interface EchoServer extends RpcServer {
  readonly refused: [Refusal, string][];
  /** Resolves once that many were refused: a client may see its connection end before the server has counted it. */
  refusals(count: number): Promise<void>;
  /** Ends calls of SLOW, which else never answer. */
  release(): void;
  /** Resolves once a call of SLOW has begun. */
  readonly slowBegun: Promise<void>;
}

export async function echoServer(tls: TlsSource | undefined): Promise<EchoServer> {
  const refused: [Refusal, string][] = [];
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const server = await startRpcServer({
    listen: '127.0.0.1:0',
    tls,
    methods: {
      async *[ECHO](requests) {
        for await (const request of requests) yield request;
      },
      async *[SLOW](requests) {
        for await (const request of requests) {
          begun.resolve();
          await gate.promise;
          yield request;
        }
      },
    },
    isAllowed: (identity) => isRole(identity, 'sluice-system', 'operator'),
    onRefused: (reason, detail) => void refused.push([reason, detail]),
    onFault: () => undefined,
  });
  const refusals = async (count: number): Promise<void> => {
    while (refused.length < count) await new Promise((resolve) => void setImmediate(resolve));
  };
  return { ...server, refused, refusals, release: () => gate.resolve(), slowBegun: begun.promise };
}

export const echoChannel = (port: number, tls: TlsSource | undefined, more: Partial<ChannelOptions> = {}): Channel =>
  openChannel({
    address: `127.0.0.1:${port}`,
    tls,
    isServer: (identity) => isRole(identity, 'sluice-system', 'runtime'),
    peer: 'the test server',
    ...more,
  });
