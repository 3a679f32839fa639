// A web service that counts its own answers: the truth that exports are compared with. Runs in a pod by itself, so it imports
// nothing but Node's modules. What it counted is told on a port of its own as one line of JSON to whoever connects: no HTTP,
// so that asking is not counted by anybody.
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Of the finest windows that counts are told for. */
const GRID_MS = Number(process.env['GRID_MS'] ?? 5000);
/** An answer this near to a border may belong to either side. */
const MARGIN_MS = 20;

/** Answers by `METHOD path status`, by the start of the window in which they ended. */
const counts = new Map<number, Map<string, number>>();
/** Borders that some answer lay across, by their time. */
const crossed = new Set<number>();
const open = new Set<{ readonly startMs: number }>();

const windowOf = (ms: number): number => Math.floor(ms / GRID_MS) * GRID_MS;

function count(startMs: number, key: string): void {
  const endMs = Date.now();
  for (let border = windowOf(startMs - MARGIN_MS) + GRID_MS; border <= endMs + MARGIN_MS; border += GRID_MS)
    crossed.add(border);
  const start = windowOf(endMs);
  const window = counts.get(start) ?? new Map<string, number>();
  counts.set(start, window);
  window.set(key, (window.get(key) ?? 0) + 1);
}

async function answer(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
  const json = (status: number, value: unknown): void =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  for await (const chunk of request) void chunk;
  if (path === '/') return void response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Shop</h1>');
  if (/^\/products\/\d+$/.test(path)) return json(200, { id: path.slice(10), price: 12.5 });
  if (path === '/orders' && request.method === 'POST') return json(201, { id: 1 });
  if (path === '/search') {
    await sleep(60);
    return json(200, { hits: [] });
  }
  if (path === '/checkout') return json(500, { error: 'no stock' });
  return json(404, { error: 'not found' });
}

createHttpServer((request, response) => {
  const path = (request.url ?? '/').split('?')[0] ?? '/';
  const asked = { startMs: Date.now() };
  open.add(asked);
  response.on('finish', () => count(asked.startMs, `${request.method} ${request.url} ${response.statusCode}`));
  response.on('close', () => open.delete(asked));
  answer(request, response, path).catch(() => response.destroy());
}).listen(8080);

createServer((socket) => {
  const windows = [...counts].map(([start, window]) => ({ start, counts: Object.fromEntries(window) }));
  const since = Math.min(Date.now(), ...[...open].map(({ startMs }) => startMs));
  socket.on('error', () => {});
  socket.end(`${JSON.stringify({ gridMs: GRID_MS, settledMs: since - MARGIN_MS, windows, crossed: [...crossed] })}\n`);
}).listen(8081);

process.on('SIGTERM', () => process.exit(0));
