// An HTTP proxy on the way to an API server, for undici. By hand, because undici 8.13's ProxyAgent ends the process with an
// unhandled rejection when it is destroyed with open tunnels.
import type { buildConnector } from 'undici';
import { makeConnector } from './http-dispatcher.ts';
import { tunnelsThrough } from './transport-tunnel.ts';

/** @throws for a URL that is none of an HTTP proxy. */
export function connectThrough(proxyUrl: string, tls: buildConnector.BuildOptions): buildConnector.connector {
  const tunnels = tunnelsThrough(proxyUrl, tls.timeout ?? 10_000);
  const secure = makeConnector(tls);
  return (options, callback) => {
    const isSecure = options.protocol === 'https:';
    tunnels.open(options.hostname, Number(options.port || (isSecure ? 443 : 80)), (error, socket) => {
      if (socket === undefined) callback(error ?? new Error('no tunnel'), null);
      else if (isSecure) secure({ ...options, httpSocket: socket }, callback);
      else callback(null, socket);
    });
  };
}
