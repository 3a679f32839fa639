// A TCP proxy in front of a real server that breaks on demand, as networks and servers do.
import { connect, createServer, type Server, type Socket } from 'node:net';

export type Fault =
  /** Forwards both ways. */
  | 'pass'
  /** Nobody listens: connections are refused, open ones are reset. */
  | 'refuse'
  /** Accepts and never says anything. */
  | 'hang'
  /** Forwards requests, and closes in the middle of what the server says to the first request after. */
  | 'cut';

export interface FaultProxy {
  readonly address: string;
  /** Changes what happens from now on; open connections are closed. */
  set(fault: Fault): Promise<void>;
  /** The server has taken a request: in `cut` its answer is not to arrive whole. */
  taken(): void;
  /** Answers that were cut. */
  readonly cuts: number;
  /** Connections that were accepted. */
  readonly accepted: number;
  close(): Promise<void>;
}

export async function faultProxy(upstreamPort: number, first: Fault = 'pass'): Promise<FaultProxy> {
  let fault: Fault = 'pass';
  let [cuts, accepted, isAnswerDue] = [0, 0, false];
  const sockets = new Set<Socket>();

  const forward = (client: Socket): void => {
    const upstream = connect(upstreamPort, '127.0.0.1');
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one);
      one.on('error', () => undefined);
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
    client.pipe(upstream);
    upstream.on('data', (bytes) => {
      if (fault !== 'cut' || !isAnswerDue) return void client.write(bytes);
      isAnswerDue = false;
      cuts += 1;
      client.write(bytes.subarray(0, Math.floor(bytes.length / 2)), () => client.resetAndDestroy());
    });
  };
  const accept = (client: Socket): void => {
    accepted += 1;
    if (fault === 'hang') {
      sockets.add(client);
      client.on('error', () => undefined).on('close', () => sockets.delete(client));
      client.resume();
    } else forward(client);
  };

  let server: Server | undefined;
  let port = 0;
  const listen = async (): Promise<void> => {
    const made = createServer(accept);
    server = made;
    await new Promise<void>((resolve, reject) => made.once('error', reject).listen(port, '127.0.0.1', resolve));
    const bound = made.address();
    port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  };
  const stop = async (): Promise<void> => {
    const listening = server;
    server = undefined;
    const closed = listening === undefined ? undefined : new Promise((resolve) => listening.close(resolve));
    for (const socket of sockets) socket.resetAndDestroy();
    await closed;
  };

  await listen();
  const set = async (next: Fault): Promise<void> => {
    fault = next;
    isAnswerDue = false;
    await stop();
    if (next !== 'refuse') await listen();
  };
  if (first !== 'pass') await set(first);
  return {
    address: `127.0.0.1:${port}`,
    set,
    taken: () => {
      isAnswerDue = true;
    },
    get cuts() {
      return cuts;
    },
    get accepted() {
      return accepted;
    },
    close: stop,
  };
}
