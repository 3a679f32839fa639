#!/usr/bin/env node
// Stands where the probe's program is expected and runs the real one (SLUICE_REAL_PROBE) behind a relay of its socket.
// SIGUSR1 cuts the connection between the two sides; the probe itself goes on.
import { spawn } from 'node:child_process';
import { connect, createServer } from 'node:net';

const args = process.argv.slice(2);
const at = args.indexOf('--socket') + 1;
const path = args[at];
args[at] = `${path}.real`;
const probe = spawn(process.env.SLUICE_REAL_PROBE, args, { stdio: 'inherit' });
probe.on('exit', (code) => process.exit(code ?? 1));

const open = new Set();
const server = createServer((agent) => {
  const real = connect(`${path}.real`);
  for (const [one, other] of [
    [agent, real],
    [real, agent],
  ]) {
    open.add(one);
    one.on('error', () => undefined);
    one.on('close', () => {
      open.delete(one);
      other.destroy();
    });
    one.pipe(other);
  }
});
server.listen(path);
process.on('SIGUSR1', () => open.forEach((socket) => socket.destroy()));
process.on('SIGTERM', () => probe.kill('SIGTERM'));
const parent = process.ppid;
setInterval(() => process.ppid !== parent && probe.kill('SIGTERM'), 500).unref();
