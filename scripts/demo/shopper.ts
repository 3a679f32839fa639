// The demo's load: keep-alive connections to the shop, in bursts, with a pause around each window's end.
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { mayBegin } from './windows.ts';

const port = Number(process.argv[2]);
const CONNECTIONS = Number(process.argv[3] ?? 8);
/** Mean pause between two requests of a connection. */
const PAUSE_MS = Number(process.argv[4] ?? 10);
const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });

const visit = (method: string, path: string): Promise<void> =>
  new Promise((resolve) => {
    const call = request({ agent, host: '127.0.0.1', port, method, path }, (response) => {
      response.resume().on('close', resolve);
    });
    call.on('error', () => resolve());
    call.end(method === 'POST' ? JSON.stringify({ product: 7 }) : undefined);
  });

const PATHS: readonly (readonly [string, string])[] = [
  ['GET', '/'],
  ['GET', '/products/1?ref=home'],
  ['GET', '/products/42'],
  ['GET', '/search?q=tea'],
  ['POST', '/orders'],
  ['GET', '/checkout'],
  ['GET', '/favicon.ico'],
];

async function shop(start: number): Promise<never> {
  for (let i = start; ; i++) {
    while (!mayBegin()) await sleep(10);
    const [method, path] = PATHS[i % PATHS.length] ?? ['GET', '/'];
    await visit(method, path);
    await sleep(PAUSE_MS * (0.5 + Math.random()));
  }
}

process.on('disconnect', () => process.exit(0));
await Promise.all(Array.from({ length: CONNECTIONS }, (_, i) => shop(i)));
