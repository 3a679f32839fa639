// Shows what becomes of an operator built on @dot-i/k8s-operator 1.3.9 with @kubernetes/client-node 2.0.1 in four
// everyday situations. Each runs in a process of its own against a small HTTP server on loopback that answers a watch
// as an API server does (200, then JSON lines, then whatever the situation is). Usage: see ../0002-own-kubernetes-plumbing.md
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const widget = (finalizers) => ({
  apiVersion: 'example.dev/v1',
  kind: 'Widget',
  metadata: { name: 'w', namespace: 'default', uid: 'u', resourceVersion: '1', ...(finalizers ? { finalizers } : {}) },
});

const SITUATIONS = {
  'a watch without events for 35 s': { seconds: 40, watch: (res) => res.flushHeaders() },
  'a watch that is reset': {
    seconds: 10,
    watch: (res) => {
      res.flushHeaders();
      setTimeout(() => res.socket.destroy(), 500);
    },
  },
  'a watch answered with 503': {
    seconds: 10,
    watch: (res) => {
      res.statusCode = 503;
      res.end('{}');
    },
  },
  'a finalizer and a status to write': {
    seconds: 5,
    watch: (res) => res.write(`${JSON.stringify({ type: 'ADDED', object: widget() })}\n`),
  },
};

async function child(port) {
  const kubeconfig = join(mkdtempSync(join(tmpdir(), 'repro-')), 'config');
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'c',
      clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'u', user: {} }],
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    }),
  );
  process.env.KUBECONFIG = kubeconfig;
  const loaded = await import('@dot-i/k8s-operator');
  const Operator = loaded.Operator ?? loaded.default.Operator ?? loaded.default.default;
  class Widgets extends Operator {
    async init() {
      await this.watchResource('example.dev', 'v1', 'widgets', async (event) => {
        if (process.env.WRITE !== '1') return;
        const handled = await this.handleResourceFinalizer(event, 'example.dev/cleanup', async () => {});
        const status = await this.patchResourceStatus(event.meta, { ready: true });
        console.log(
          `handleResourceFinalizer returned ${handled}, patchResourceStatus returned ${JSON.stringify(status)}`,
        );
      });
    }
  }
  const say = (text) => console.log(text);
  await new Widgets({ info() {}, debug() {}, warn: say, error: say }).start();
}

async function situation(name, { seconds, watch }) {
  const writes = [];
  const server = createServer((req, res) => {
    if (req.url.includes('watch')) return watch(res);
    if (req.method !== 'GET') writes.push(`${req.method} ${req.url}`);
    res.end(JSON.stringify(widget()));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const started = Date.now();
  const operator = spawn(process.execPath, [fileURLToPath(import.meta.url), 'child', String(server.address().port)], {
    env: { ...process.env, WRITE: name.includes('finalizer') ? '1' : '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines = [];
  for (const stream of [operator.stdout, operator.stderr])
    stream.on('data', (text) => lines.push(...String(text).split('\n')));
  const end = await new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), seconds * 1000);
    operator.on('exit', (code) => {
      clearTimeout(timer);
      resolve(code);
    });
  });
  const after = ((Date.now() - started) / 1000).toFixed(0);
  console.log(`${name}:`);
  console.log(end === undefined ? `  still alive after ${after} s` : `  PROCESS EXITED with ${end} after ${after} s`);
  if (name.includes('finalizer'))
    console.log(`  writes that reached the server: ${writes.length === 0 ? 'NONE' : writes.join(', ')}`);
  for (const line of lines.filter((text) => text.trim() !== '').slice(0, 4))
    console.log(
      `  | ${line
        .trim()
        .replace(/,"stack".*/, '}')
        .slice(0, 140)}`,
    );
  operator.kill('SIGKILL');
  server.closeAllConnections();
  server.close();
}

if (process.argv[2] === 'child') await child(process.argv[3]);
else for (const [name, what] of Object.entries(SITUATIONS)) await situation(name, what);
