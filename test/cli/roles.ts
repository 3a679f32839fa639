// Roles as processes of their own, for tests: `sluice collector` beside a made-up probe, `sluice runtime`.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TlsMaterial } from '../../src/rpc/tls.ts';
import { freePort } from '../servers/free-port.ts';

const ROOT = join(import.meta.dirname, '..', '..');

export interface RoleProcess {
  /** Where it serves its contract, as its log said. */
  readonly port: number;
  readonly log: () => readonly Readonly<Record<string, unknown>>[];
  /** `/readyz`, `/metrics`, … */
  get(path: string): Promise<{ readonly status: number; readonly body: string }>;
  /** Resolves once `/readyz` says so. */
  ready(): Promise<void>;
  /** SIGTERM; resolves with the exit status. */
  stop(): Promise<number | null>;
  kill(): void;
}

const WAIT_MS = 30_000;

async function until<T>(what: () => string, look: () => Promise<T | undefined>): Promise<T> {
  const end = Date.now() + WAIT_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`never happened: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Resolves once it serves. */
export async function startRoleProcess(
  role: 'collector' | 'runtime',
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<RoleProcess> {
  const [health, metrics] = [await freePort(), await freePort()];
  const addresses = ['--health-address', `127.0.0.1:${health}`, '--metrics-address', `127.0.0.1:${metrics}`];
  const child: ChildProcess = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(ROOT, 'src', 'main.ts'), role, ...addresses, ...args],
    { env: { PATH: process.env['PATH'] ?? '', ...env }, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (part: string) => (text += part));
  const log = (): Record<string, unknown>[] =>
    text
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const get = async (path: string): Promise<{ status: number; body: string }> => {
    const answer = await fetch(`http://127.0.0.1:${path === '/metrics' ? metrics : health}${path}`);
    return { status: answer.status, body: await answer.text() };
  };
  const port = await until(
    () => `${role} serves:\n${text}`,
    async () => {
      if (child.exitCode !== null) throw new Error(`${role} ended with ${child.exitCode}:\n${text}`);
      const found = log().find(({ message }) => message === 'serving')?.['port'];
      return typeof found === 'number' ? found : undefined;
    },
  );
  return {
    port,
    log,
    get,
    ready: () =>
      until(
        () => `${role} is ready:\n${text}`,
        async () => (await get('/readyz')).status === 200 || undefined,
      ).then(() => undefined),
    async stop() {
      if (child.exitCode === null) {
        child.kill('SIGTERM');
        await once(child, 'exit');
      }
      return child.exitCode;
    },
    kill: () => void child.kill('SIGKILL'),
  };
}

export interface FakeProbe {
  /** Begins to listen. */
  listen(): Promise<void>;
  send(frames: Uint8Array): void;
  close(): Promise<void>;
}

/** Says `frames` to whoever connects, as a probe would, and then what it is given. */
export function fakeProbe(path: string, frames: Uint8Array): FakeProbe {
  const sockets = new Set<Socket>();
  let server: Server | undefined;
  return {
    async listen() {
      server = createServer((socket) => {
        sockets.add(socket);
        socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
        socket.resume();
        socket.write(frames);
      }).listen(path);
      await once(server, 'listening');
    },
    send(more) {
      for (const socket of sockets) socket.write(more);
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      if (server === undefined) return;
      server.close();
      await once(server, 'close');
    },
  };
}

/** `tls.crt`, `tls.key`, `ca.crt` in a new or an old folder, each put in place whole. */
export function writeTls(folder: string, { certificate, key, ca }: TlsMaterial): string {
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of [
    ['tls.crt', certificate],
    ['tls.key', key],
    ['ca.crt', ca],
  ] as const) {
    writeFileSync(join(folder, `.${name}`), text);
    renameSync(join(folder, `.${name}`), join(folder, name));
  }
  return folder;
}
