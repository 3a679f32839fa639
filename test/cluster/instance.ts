// One running set of servers: its folder, its processes, and how all of it goes away, whoever dies first.
//
// Each process is killed by the kernel when the test process that started it dies (PR_SET_PDEATHSIG), so that a killed
// test run leaves at most folders; those are removed when the next instance starts. Pids are kept together with their start
// ticks (field 22 of /proc/PID/stat), so that a number which the kernel gave to another process is never signalled.
import { spawn, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Short, because unix sockets live below it (108 bytes at most); one per user. */
export const INSTANCES = join(tmpdir(), `sluice-cluster-${process.getuid?.() ?? 0}`);

export interface Identity {
  readonly pid: number;
  /** Since boot, in clock ticks. */
  readonly startTicks: string;
}

/** Who has this pid now; undefined for nobody and for a zombie, which only waits for its parent. */
export function identify(pid: number): Identity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // the second field may hold blanks and parentheses
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, startTicks] = [fields[0], fields[19]];
    return state === 'Z' || state === 'X' || startTicks === undefined ? undefined : { pid, startTicks };
  } catch {
    return undefined;
  }
}

export const isAlive = ({ pid, startTicks }: Identity): boolean => identify(pid)?.startTicks === startTicks;

function signal(who: Identity, name: NodeJS.Signals): void {
  if (!isAlive(who)) return;
  try {
    process.kill(who.pid, name);
  } catch {
    // it went away in between
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks again until `check` says yes. Rejects after `timeoutMs` with the last error, or at once when `check` throws `GiveUp`. */
export async function waitFor(what: string, check: () => Promise<boolean> | boolean, timeoutMs: number): Promise<void> {
  const end = Date.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      if (await check()) return;
    } catch (error) {
      if (error instanceof GiveUp) throw error;
      last = error;
    }
    if (Date.now() > end) throw new Error(`${what}: not within ${timeoutMs / 1000} s`, { cause: last });
    await pause(50);
  }
}

/** Thrown where waiting longer is of no use. */
export class GiveUp extends Error {}

/** Who started the instance in this folder. Throws where there is none. */
export const ownerOf = (dir: string): Identity => JSON.parse(readFileSync(join(dir, 'owner'), 'utf8')) as Identity;

export interface Server {
  readonly name: string;
  readonly identity: Identity;
  readonly logFile: string;
  isRunning(): boolean;
  /** SIGTERM, and SIGKILL after `graceMs`; resolves when it is gone. */
  stop(graceMs?: number): Promise<void>;
  signal(name: NodeJS.Signals): void;
}

export interface Instance {
  readonly dir: string;
  /** Starts a program in a session of its own, output in `<dir>/log/<name>.log`. */
  start(name: string, command: readonly string[], env?: Record<string, string>): Server;
  log(name: string): string;
  /** Stops every process that is left, newest first, and removes the folder. */
  remove(): Promise<void>;
}

/** The folder of a new instance; removes what instances of dead test processes left. */
export function createInstance(name: string, dir?: string): Instance {
  removeStale();
  const home = dir ?? join(INSTANCES, `${name}-${process.pid}-${Date.now().toString(36)}`);
  mkdirSync(join(home, 'log'), { recursive: true, mode: 0o755 });
  const me = identify(process.pid);
  if (me === undefined) throw new Error('/proc is not mounted');
  writeFileSync(join(home, 'owner'), JSON.stringify(me));
  const servers: Server[] = [];
  const logFile = (server: string): string => join(home, 'log', `${server}.log`);
  return {
    dir: home,
    start(server, command, env) {
      const started = start(server, command, logFile(server), home, env);
      servers.push(started);
      return started;
    },
    log(server) {
      try {
        return readFileSync(logFile(server), 'utf8');
      } catch {
        return '';
      }
    },
    async remove() {
      for (const server of servers.splice(0).toReversed()) await server.stop();
      rmSync(home, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

function start(
  name: string,
  command: readonly string[],
  logFile: string,
  dir: string,
  env: Record<string, string> | undefined,
): Server {
  const log = openSync(logFile, 'a');
  // detached: the terminal's ^C is for the test process, whose death ends them
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...command], {
    cwd: dir,
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...process.env, ...env },
  });
  closeSync(log);
  child.on('error', () => {});
  child.unref();
  const identity = child.pid === undefined ? undefined : identify(child.pid);
  if (identity === undefined) throw new Error(`${name} could not be started: ${command[0]}`);
  appendFileSync(join(dir, 'processes'), `${JSON.stringify(identity)}\n`);
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null && isAlive(identity);
  return {
    name,
    identity,
    logFile,
    isRunning,
    signal: (name) => signal(identity, name),
    async stop(graceMs = 1000) {
      const end = Date.now() + graceMs;
      signal(identity, 'SIGTERM');
      while (isRunning() && Date.now() < end) await pause(20);
      signal(identity, 'SIGKILL');
      // a process whose first thread is a zombie may have others that still hold its ports: it is gone when it can be reaped
      while (child.exitCode === null && child.signalCode === null) await pause(10);
    },
  };
}

const UNDO = 'undo.json';

/** Says which command removes what an instance holds besides processes and files (namespaces, containers), should its owner die. */
export const rememberUndo = (dir: string, command: readonly string[]): void =>
  writeFileSync(join(dir, UNDO), JSON.stringify(command));

/** Runs that command, where there is one; throws if something is left. */
export function undo(dir: string): void {
  if (!existsSync(join(dir, UNDO))) return;
  const [program = '', ...args] = JSON.parse(readFileSync(join(dir, UNDO), 'utf8')) as string[];
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 120_000 });
  if (status !== 0) throw new Error(`what is in ${dir} did not go away: ${stderr}`);
}

/** Ends the processes that an instance's folder names, without asking. */
export function killProcesses(dir: string): void {
  let lines: string[] = [];
  try {
    lines = readFileSync(join(dir, 'processes'), 'utf8').trim().split('\n');
  } catch {
    return;
  }
  for (const line of lines.filter((text) => text !== '')) signal(JSON.parse(line) as Identity, 'SIGKILL');
}

function removeStale(): void {
  let names: string[] = [];
  try {
    names = readdirSync(INSTANCES);
  } catch {
    return;
  }
  for (const name of names) {
    const dir = join(INSTANCES, name);
    let owner: Identity;
    try {
      owner = ownerOf(dir);
    } catch {
      continue; // just being made, or no folder of ours
    }
    if (isAlive(owner)) continue;
    killProcesses(dir);
    try {
      undo(dir);
      rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
    } catch (error) {
      process.stderr.write(`cannot remove what a killed test run left in ${dir}: ${String(error)}\n`);
    }
  }
}
