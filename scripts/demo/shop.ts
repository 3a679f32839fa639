// The demo's service: a small web shop on loopback, some routes slow, some failing. It counts every answer it gave and,
// in the pause around each window's end, writes the count of that window as a JSON line: the truth that the demo
// compares with what was exported.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { msUntilBoundary, WINDOW_MS } from './windows.ts';

let counted = 0;

const json = (response: ServerResponse, status: number, value: unknown): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
};

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '/').split('?')[0] ?? '/';
  for await (const chunk of request) void chunk;
  if (path === '/') return void response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Shop</h1>');
  if (/^\/products\/\d+$/.test(path)) return json(response, 200, { id: path.split('/')[2], price: 12.5 });
  if (path === '/orders' && request.method === 'POST') return json(response, 201, { id: counted });
  if (path === '/search') {
    await sleep(60 + Math.random() * 40);
    return json(response, 200, { hits: [] });
  }
  if (path === '/checkout') return json(response, counted % 3 === 0 ? 500 : 200, { ok: counted % 3 !== 0 });
  return json(response, 404, { error: 'not found' });
}

const server = createServer((request, response) => {
  response.on('finish', () => counted++);
  answer(request, response).catch(() => response.destroy());
});
server.keepAliveTimeout = 60_000;

server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  process.stdout.write(`${JSON.stringify({ port })}\n`);
});

let before = 0;
const report = (): void => {
  const end = Math.round(Date.now() / WINDOW_MS) * WINDOW_MS;
  process.stdout.write(`${JSON.stringify({ end, counted: counted - before })}\n`);
  before = counted;
  setTimeout(report, msUntilBoundary(end + WINDOW_MS));
};
setTimeout(report, msUntilBoundary());

process.on('disconnect', () => process.exit(0));
