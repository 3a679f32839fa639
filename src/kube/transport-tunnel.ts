// The way to an API server through an HTTP proxy, as a kubeconfig's `proxy-url` asks for: a CONNECT tunnel (RFC 9110 9.3.6), in
// which TLS with the API server is spoken.
import { request as requestByHttp } from 'node:http';
import { request as requestByHttps } from 'node:https';
import type { Socket } from 'node:net';

export interface Tunnels {
  /** `done` gets the socket to what lies behind the proxy, or why there is none. */
  open(host: string, port: number, done: (error: Error | null, socket?: Socket) => void): void;
}

/** @throws for a URL that is none of an HTTP proxy. */
export function tunnelsThrough(proxyUrl: string, timeoutMs: number): Tunnels {
  const proxy = URL.canParse(proxyUrl) ? new URL(proxyUrl) : undefined;
  if (proxy?.protocol !== 'http:' && proxy?.protocol !== 'https:') {
    throw new Error("the kubeconfig's proxy-url must be http:// or https://");
  }
  const request = proxy.protocol === 'http:' ? requestByHttp : requestByHttps;
  const login = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return {
    open(host, port, done) {
      const asked = request(proxy.origin, {
        method: 'CONNECT',
        path: `${host.includes(':') ? `[${host}]` : host}:${port}`,
        headers:
          proxy.username === '' ? {} : { 'proxy-authorization': `Basic ${Buffer.from(login).toString('base64')}` },
        timeout: timeoutMs,
        agent: false,
      });
      asked.once('timeout', () => asked.destroy(new Error(`the proxy ${proxy.host} does not answer`)));
      asked.once('error', (error) => done(error));
      asked.once('connect', ({ statusCode }, socket: Socket) => {
        if (statusCode === 200) {
          // the limit was for the proxy's answer
          socket.setTimeout(0);
          done(null, socket);
          return;
        }
        socket.destroy();
        done(new Error(`the proxy ${proxy.host} refuses a tunnel: HTTP ${statusCode}`));
      });
      asked.end();
    },
  };
}
