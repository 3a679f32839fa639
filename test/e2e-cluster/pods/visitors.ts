// Load from a pod: keep-alive connections to the Services of TARGETS, a bounded number of requests, with a pause around each
// border of the windows so that answers lie in one window. Runs in a pod by itself. A connection is used for some requests and
// then made anew: a Service spreads connections, not requests.
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const number = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise);
const targets = (process.env['TARGETS'] ?? '').split(' ').filter((target) => target !== '');
const GRID_MS = number('GRID_MS', 5000);
const CONNECTIONS = number('CONNECTIONS', 4);
/** Of all connections together, then the program ends. */
const REQUESTS = number('REQUESTS', 10_000);
/** Between two requests of a connection, on average. */
const PAUSE_MS = number('PAUSE_MS', 50);
const REQUESTS_PER_CONNECTION = 25;
const PAUSE_BEFORE_MS = 250;
const PAUSE_AFTER_MS = 100;

const PATHS: readonly (readonly [string, string])[] = [
  ['GET', '/'],
  ['GET', '/products/1?ref=home'],
  ['GET', '/products/42'],
  ['GET', '/search?q=tea'],
  ['POST', '/orders'],
  ['GET', '/checkout'],
  ['GET', '/favicon.ico'],
];

function mayBegin(): boolean {
  const phase = Date.now() % GRID_MS;
  return phase >= PAUSE_AFTER_MS && phase < GRID_MS - PAUSE_BEFORE_MS;
}

/** True where an answer came. */
const visit = (agent: Agent, target: string, method: string, path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const call = request(`${target}${path}`, { agent, method, timeout: 5000 }, (response) => {
      response
        .resume()
        .once('end', () => resolve(true))
        .once('error', () => resolve(false));
    });
    call.on('timeout', () => call.destroy(new Error('timeout')));
    call.on('error', () => resolve(false));
    call.end(method === 'POST' ? '{"product":7}' : undefined);
  });

let left = REQUESTS;
let failures = 0;

async function visitor(first: number): Promise<void> {
  const target = targets[first % targets.length] ?? '';
  for (let i = first; left > 0;) {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let used = 0; used < REQUESTS_PER_CONNECTION && left > 0; used++, i++) {
      while (!mayBegin()) await sleep(10);
      const [method, path] = PATHS[i % PATHS.length] ?? ['GET', '/'];
      left--;
      if (!(await visit(agent, target, method, path))) failures++;
      await sleep(PAUSE_MS * (0.5 + Math.random()));
    }
    agent.destroy();
  }
}

process.on('SIGTERM', () => process.exit(0));
await Promise.all(Array.from({ length: CONNECTIONS }, (_, i) => visitor(i)));
process.stdout.write(`${JSON.stringify({ asked: REQUESTS - left, failures })}\n`);
