// The way to an API server through an HTTP proxy, as a kubeconfig's `proxy-url` asks for: a CONNECT tunnel, with TLS inside. By
// hand, because undici 8.13's ProxyAgent ends the process with an unhandled rejection when it is destroyed with open tunnels.
import { request as requestByHttp } from 'node:http';
import { request as requestByHttps } from 'node:https';
import type { Socket } from 'node:net';
import type { buildConnector } from 'undici';
import { makeConnector } from './http-dispatcher.ts';

/** @throws for a URL that is none of an HTTP proxy. */
export function connectThrough(proxyUrl: string, tls: buildConnector.BuildOptions): buildConnector.connector {
  const proxy = URL.canParse(proxyUrl) ? new URL(proxyUrl) : undefined;
  if (proxy?.protocol !== 'http:' && proxy?.protocol !== 'https:') {
    throw new Error("the kubeconfig's proxy-url must be http:// or https://");
  }
  const request = proxy.protocol === 'http:' ? requestByHttp : requestByHttps;
  const secure = makeConnector(tls);
  const login = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return (options, callback) => {
    const port = options.port || (options.protocol === 'https:' ? '443' : '80');
    const asked = request(proxy.origin, {
      method: 'CONNECT',
      path: `${options.hostname}:${port}`,
      headers: proxy.username === '' ? {} : { 'proxy-authorization': `Basic ${Buffer.from(login).toString('base64')}` },
      timeout: tls.timeout ?? 10_000,
      agent: false,
    });
    asked.once('timeout', () => asked.destroy(new Error(`the proxy ${proxy.host} does not answer`)));
    asked.once('error', (error) => callback(error, null));
    asked.once('connect', ({ statusCode }, socket: Socket) => {
      if (statusCode !== 200) {
        socket.destroy();
        callback(new Error(`the proxy ${proxy.host} refuses a tunnel: HTTP ${statusCode}`), null);
      } else if (options.protocol === 'https:') secure({ ...options, httpSocket: socket }, callback);
      else callback(null, socket);
    });
    asked.end();
  };
}
