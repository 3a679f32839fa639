// Ports for servers of tests. Some of those are away for a while and come back at the same place, so a port that was given
// is not given again, and test workers side by side have ranges of their own.
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below those that the kernel gives to outgoing connections. */
const FIRST = 20_000;
const PORTS = 12_000;
const RANGES = 12;
const given = new Set<number>();

/** In the range of this test worker (jest numbers them from 1); in any where there is none. */
function anyPort(): number {
  const worker = process.env['JEST_WORKER_ID'];
  if (worker === undefined) return FIRST + Math.floor(Math.random() * PORTS);
  const size = PORTS / RANGES;
  return FIRST + (Number(worker) % RANGES) * size + Math.floor(Math.random() * size);
}

/** A port of 127.0.0.1 that nobody listens on. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 500; tries++) {
    const port = anyPort();
    if (given.has(port)) continue;
    const server = createServer();
    const isFree = once(server.listen(port, '127.0.0.1'), 'listening').then(
      () => true,
      () => false,
    );
    if (!(await isFree)) continue;
    server.close();
    await once(server, 'close');
    given.add(port);
    return port;
  }
  throw new Error('no free port on 127.0.0.1');
}
