// Wiring of a collector in this process: the probe as a child or a recording, the tables, the agent between them. Used
// by every subcommand that captures.
import { chownSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { hostname, networkInterfaces, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createAgent, type Agent } from '../collector/agent.ts';
import { parseRange } from '../collector/connections/address.ts';
import type { IdentityRule } from '../collector/identity/rules.ts';
import { PROTOCOLS } from '../collector/protocols/registry.ts';
import { createLiveSource, type LiveSource } from '../collector/sources/live.ts';
import type { FrameSource } from '../collector/sources/source.ts';
import { DEFAULT_LIMITS } from '../engine/context.ts';
import { createTableStore, type TableStore } from '../tables/store.ts';
import type { CommandIo } from './command.ts';

/** Ranges are IPv6 throughout, IPv4 as its mapped form. */
const INET6 = 10;

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** The probe's program: SLUICE_PROBE, else what `make probe` builds. */
export const probePath = (env: CommandIo['env']): string => env['SLUICE_PROBE'] ?? join(root, 'build', 'sluice-probe');

/** Live capture cannot start; the message says what to do. */
export class CaptureError extends Error {
  override readonly name = 'CaptureError';
}

/** This host's interface addresses: clients of ours that talk to them are answered on this side anyway. */
const localNetworks = (): { family: number; address: Uint8Array; prefixBits: number }[] =>
  Object.values(networkInterfaces()).flatMap((interfaces = []) =>
    // a link-local address may carry its zone
    interfaces.map(({ address }) => ({ family: INET6, ...parseRange(address.replace(/%.*$/, '')) })),
  );

export interface LiveOptions {
  readonly io: CommandIo;
  /** Only this process and no other. */
  readonly pid?: number;
  readonly onLine: (line: string) => void;
}

/** A live source with the probe as our child, on a socket in a folder of its own; `close` removes the folder. */
export function liveSource({ io, pid, onLine }: LiveOptions): {
  readonly source: LiveSource;
  readonly close: () => void;
} {
  const path = probePath(io.env);
  if (!existsSync(path)) {
    throw new CaptureError(`${path} is not there: live capture needs the probe; 'make setup' as root builds it`);
  }
  const folder = mkdtempSync(join(tmpdir(), 'sluice-'));
  const sudo = sudoIds(io.env);
  // removed after root was given up
  if (sudo !== undefined) chownSync(folder, sudo.uid, sudo.gid);
  const source = createLiveSource({
    socketPath: join(folder, 'probe.sock'),
    probe: {
      path,
      args: [
        '--die-with-parent',
        ...(pid === undefined ? [] : ['--pid', String(pid)]),
        ...(sudo === undefined ? [] : ['--socket-uid', String(sudo.uid)]),
      ],
    },
    ownTgids: [process.pid],
    localNetworks: localNetworks(),
    onLine,
  });
  return { source, close: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Who called sudo, where somebody did. */
export function sudoIds(env: CommandIo['env']): { readonly uid: number; readonly gid: number } | undefined {
  const [uid, gid] = [Number(env['SUDO_UID']), Number(env['SUDO_GID'])];
  if (process.getuid?.() !== 0 || !Number.isInteger(uid) || uid <= 0 || !Number.isInteger(gid)) return undefined;
  return { uid, gid };
}

/** Gives up root for the user who called sudo; the probe runs already. No effect without sudo. */
export function dropToSudoUser(env: CommandIo['env']): void {
  const ids = sudoIds(env);
  if (ids === undefined) return;
  process.setgroups?.([ids.gid]);
  process.setgid?.(ids.gid);
  process.setuid?.(ids.uid);
}

/** Does something with the rights of the user who called sudo, such as making a file where that user may. */
export async function asSudoUser<T>(env: CommandIo['env'], work: () => Promise<T>): Promise<T> {
  const ids = sudoIds(env);
  if (ids === undefined) return work();
  const groups = process.getgroups?.() ?? [];
  process.setgroups?.([ids.gid]);
  process.setegid?.(ids.gid);
  process.seteuid?.(ids.uid);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
    process.setgroups?.(groups);
  }
}

/** Tables and agent over a source, wired to the engine. */
export function startAgent(
  source: FrameSource,
  options: { readonly identityRules?: readonly IdentityRule[]; readonly bothSides?: boolean } = {},
): { readonly agent: Agent; readonly store: TableStore } {
  const store = createTableStore();
  const agent = createAgent({
    name: hostname(),
    source,
    tables: store,
    protocols: PROTOCOLS,
    engineLimits: DEFAULT_LIMITS,
    ...options,
  });
  return { agent, store };
}
