// /livez, /readyz and /metrics over plain HTTP, as kubelet and Prometheus ask for them. Liveness means that the event loop
// turns and nothing else: an API server that is away must not restart us (R31).
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

/** True, or why not: one line. */
export type Check = () => true | string;

export interface HealthServer {
  /** `host:port` that it listens on. */
  readonly address: string;
  close(): Promise<void>;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

async function listen(
  { host, port }: Address,
  answer: (path: string, request: IncomingMessage, response: ServerResponse) => void,
): Promise<HealthServer> {
  const server = createServer((request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end();
      return;
    }
    answer((request.url ?? '/').replace(/\?.*$/, ''), request, response);
  });
  server.requestTimeout = 10_000;
  server.headersTimeout = 10_000;
  server.maxHeadersCount = 64;
  // no host: all addresses, those of IPv6 where the kernel has it; `::` fails where it has not
  if (host === '::') server.listen(port);
  else server.listen(port, host);
  await once(server, 'listening');
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('the server has no address');
  return {
    address: `${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

const TEXT = { 'content-type': 'text/plain; charset=utf-8' };

/** Serves /livez and /readyz. The body of /readyz has a line a check, `[+]name ok` or `[-]name why`. */
export const startHealthServer = (address: Address, checks: Readonly<Record<string, Check>>): Promise<HealthServer> =>
  listen(address, (path, _, response) => {
    if (path === '/livez') {
      response.writeHead(200, TEXT).end('ok\n');
      return;
    }
    if (path !== '/readyz') {
      response.writeHead(404, TEXT).end('there are /livez and /readyz\n');
      return;
    }
    const results = Object.entries(checks).map(([name, check]) => ({ name, result: check() }));
    const isReady = results.every(({ result }) => result === true);
    const lines = results.map(({ name, result }) => (result === true ? `[+]${name} ok` : `[-]${name} ${result}`));
    response.writeHead(isReady ? 200 : 503, TEXT).end(`${lines.join('\n')}\n`);
  });

/** Serves /metrics. */
export const startMetricsServer = (
  address: Address,
  scrape: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<HealthServer> =>
  listen(address, (path, request, response) => {
    if (path === '/metrics') scrape(request, response);
    else response.writeHead(404, TEXT).end('there is /metrics\n');
  });
