// Takes OTLP/gRPC with cleartext HTTP/2 like a receiver and remembers the credentials that came with each request; those whose
// `api-key` is not among those in the file KEY are refused as UNAUTHENTICATED. Tells on a port of its own, and never in its log,
// what it has seen. Runs in a pod by itself.
import { readFileSync } from 'node:fs';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer } from 'node:net';

const UNAUTHENTICATED = 16;
const seen: { readonly atMs: number; readonly key: string; readonly taken: boolean }[] = [];

const accepted = (): string[] => readFileSync(process.env['KEY'] ?? '/key/token', 'utf8').split(/\s+/);

const server = createHttp2Server();
server.on('stream', (stream, asked) => {
  const key = String(asked['api-key'] ?? '');
  const taken = accepted().includes(key);
  stream.on('error', () => {});
  stream.resume().on('end', () => {
    seen.push({ atMs: Date.now(), key, taken });
    const headers = { ':status': 200, 'content-type': 'application/grpc' };
    if (!taken) {
      const refusal = { 'grpc-status': UNAUTHENTICATED, 'grpc-message': `who is ${key}` };
      return stream.respond({ ...headers, ...refusal }, { endStream: true });
    }
    stream.respond(headers, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': 0 }));
    // one empty message
    return stream.end(Buffer.alloc(5));
  });
});
server.listen(4317);

createServer((socket) => {
  socket.on('error', () => {});
  socket.end(`${JSON.stringify(seen)}\n`);
}).listen(8081);

process.on('SIGTERM', () => process.exit(0));
