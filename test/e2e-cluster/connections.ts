// The TCP connections of a process's network namespace, from /proc/PID/net/tcp and tcp6 (proc(5)): those that stand, and those
// whose end was less than a minute ago.
import { readFileSync } from 'node:fs';

export interface TcpConnection {
  readonly local: { readonly address: string; readonly port: number };
  readonly remote: { readonly address: string; readonly port: number };
  /** The local port is one that is listened on. */
  readonly isServer: boolean;
}

const ESTABLISHED = '01';
const TIME_WAIT = '06';
const LISTEN = '0A';

/** IPv4, or IPv4 mapped into IPv6: four bytes in the order of the machine. Others are given as they are written. */
function addressOf(hex: string): string {
  const last = hex.length === 8 ? hex : hex.startsWith('0000000000000000FFFF0000') ? hex.slice(24) : undefined;
  if (last === undefined) return hex;
  return [6, 4, 2, 0].map((at) => Number.parseInt(last.slice(at, at + 2), 16)).join('.');
}

const endOf = (text: string): { address: string; port: number } => {
  const [address = '', port = ''] = text.split(':');
  return { address: addressOf(address), port: Number.parseInt(port, 16) };
};

export function connectionsOf(pid: number): TcpConnection[] {
  const lines = ['tcp', 'tcp6'].flatMap((file) =>
    readFileSync(`/proc/${pid}/net/${file}`, 'latin1').split('\n').slice(1, -1),
  );
  const all = lines.map((line) => {
    const [, local = '', remote = '', state = ''] = line.trim().split(/\s+/);
    return { local: endOf(local), remote: endOf(remote), state };
  });
  const listening = new Set(all.filter(({ state }) => state === LISTEN).map(({ local }) => local.port));
  return all
    .filter(({ state }) => state === ESTABLISHED || state === TIME_WAIT)
    .map(({ local, remote }) => ({ local, remote, isServer: listening.has(local.port) }));
}
