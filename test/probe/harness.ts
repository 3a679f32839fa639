// The real probe and a process that does system calls on command, for the tests in this folder.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Writable } from 'node:stream';
import { afterAll } from '@jest/globals';
import { decode } from './frames.ts';
import type { ConnId, Frame, FrameOf, Kind } from './frames.ts';

export const PROBE = join(process.cwd(), 'build', 'sluice-probe');

const folders: string[] = [];
afterAll(() => folders.splice(0).forEach((folder) => rmSync(folder, { recursive: true, force: true })));

/** An empty folder that goes away with the suite. */
export function folderOfSuite(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-probe-'));
  folders.push(folder);
  return folder;
}

/** Why nothing can be tested here; undefined if it can. Says so on standard error, builds the probe where it is old. */
export function whyNot(): string | undefined {
  const reason = ((): string | undefined => {
    if (process.getuid?.() !== 0) return 'not root';
    if (spawnSync('/bin/sh', ['-c', 'command -v clang']).status !== 0)
      return 'there is no clang to build the probe with';
    // What does not compile is a failure and nothing to skip.
    execFileSync('make', ['--no-print-directory', '-C', 'probe', 'alone'], { stdio: ['ignore', 'ignore', 'inherit'] });
    try {
      execFileSync(PROBE, ['--check'], { stdio: 'pipe', encoding: 'utf8' });
    } catch (error) {
      return `the kernel or our rights do not allow it: ${String(Reflect.get(error as object, 'stderr')).trim()}`;
    }
    return undefined;
  })();
  if (reason !== undefined) process.stderr.write(`\n*** SKIPPED: the probe on the running kernel: ${reason} ***\n\n`);
  return reason;
}

const nowNs = (): bigint => process.hrtime.bigint();

/** Collects frames from a stream, and waits for them. */
export class Frames {
  readonly all: Frame[] = [];
  /** What the probe wrote to standard error. */
  errors = '';
  private rest: Buffer = Buffer.alloc(0);
  private waiters: (() => void)[] = [];

  push(chunk: Buffer): void {
    let bytes = Buffer.concat([this.rest, chunk]);
    while (bytes.length >= 16 && bytes.length >= bytes.readUInt32LE(0)) {
      const length = bytes.readUInt32LE(0);
      this.all.push(decode(bytes.subarray(0, length)));
      bytes = bytes.subarray(length);
    }
    this.rest = bytes;
    for (const waiter of this.waiters.splice(0)) waiter();
  }

  of<K extends Kind>(kind: K, isWanted: (frame: FrameOf<K>) => boolean = () => true): FrameOf<K>[] {
    return this.all.filter((frame): frame is FrameOf<K> => frame.kind === kind && isWanted(frame as FrameOf<K>));
  }

  /** The first frame of this kind that is wanted, now or later. jest's own limit ends a wait for nothing. */
  async first<K extends Kind>(kind: K, isWanted: (frame: FrameOf<K>) => boolean = () => true): Promise<FrameOf<K>> {
    for (;;) {
      const found = this.all.find((frame): frame is FrameOf<K> => frame.kind === kind && isWanted(frame as FrameOf<K>));
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.waiters.push(resolve));
    }
  }

  /** Everything that has happened up to this call has arrived. */
  async settled(): Promise<void> {
    const now = nowNs();
    await this.first('drained', (frame) => frame.ktime > now);
  }

  /** The newest life of a descriptor. */
  async connection(tgid: number, fd: number): Promise<FrameOf<'open'>> {
    await this.settled();
    const opens = this.of('open', ({ id }) => id.tgid === tgid && id.fd === fd);
    const newest = opens.toSorted((a, b) => Number(b.id.tsid - a.id.tsid))[0];
    if (newest === undefined) throw new Error(`no OPEN of ${tgid}/${fd}`);
    return newest;
  }

  async data(id: ConnId, sent: boolean): Promise<FrameOf<'data'>[]> {
    await this.settled();
    return this.of('data', (frame) => isSame(frame.id, id) && (frame.flags & 1) === (sent ? 1 : 0));
  }
}

export const isSame = (a: ConnId, b: ConnId): boolean => a.tgid === b.tgid && a.fd === b.fd && a.tsid === b.tsid;

export interface Probe {
  readonly frames: Frames;
  readonly child: ChildProcessWithoutNullStreams;
  say(frame: Buffer): void;
  stop(): Promise<void>;
}

/** The probe on a pipe; ready when its snapshot is complete. `cgroup`: a directory whose cgroup it enters first. */
export async function startProbe(
  args: readonly string[] = [],
  env: Record<string, string> = {},
  cgroup?: string,
): Promise<Probe> {
  const entering = cgroup === undefined ? [] : ['/bin/sh', '-c', 'echo $$ > "$0/cgroup.procs" && exec "$@"', cgroup];
  const [program = PROBE, ...rest] = [...entering, PROBE, '--stdout', ...args];
  const child = spawn(program, rest, { env: { ...process.env, ...env } });
  const frames = new Frames();
  child.stdout.on('data', (chunk: Buffer) => frames.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => {
    frames.errors += String(chunk);
    process.stderr.write(chunk);
  });
  await frames.first('snapshotEnd');
  return {
    frames,
    child,
    say: (frame) => void child.stdin.write(frame),
    stop: async () => {
      const closed = once(child, 'close');
      child.kill('SIGTERM');
      await closed;
    },
  };
}

export interface Workload {
  readonly pid: number;
  /** Does one line of workload.c's language; its answer without the "ok". Rejects on "error". */
  do(line: string): Promise<number[]>;
  /** Ends it; resolves with its exit status. */
  end(): Promise<number | null>;
}

/** Compiles workload.c; returns what starts one. */
export function buildWorkload(): () => Promise<Workload> {
  const program = join(folderOfSuite(), 'sluice-workload');
  execFileSync('gcc', ['-O1', '-Wall', '-Wextra', '-Werror', '-pthread', 'test/probe/workload.c', '-o', program]);
  return async () => {
    const child = spawn(program, ['first argument', 'second'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const answer = async (): Promise<number[]> => {
      const { value, done } = await lines.next();
      if (done === true || value.startsWith('error'))
        throw new Error(`workload: ${done === true ? 'has ended' : value}`);
      return value.split(' ').slice(1).map(Number);
    };
    const [pid = 0] = await answer();
    const closed = once(child, 'close');
    const stdin: Writable = child.stdin;
    return {
      pid,
      do: (line) => {
        stdin.write(`${line}\n`);
        return answer();
      },
      end: async () => {
        stdin.end();
        const [code] = (await closed) as [number | null];
        return code;
      },
    };
  };
}

/** What workload.c writes at these positions of a stream. */
export function pattern(position: number, bytes: number): Buffer {
  const out = Buffer.alloc(bytes);
  for (let i = 0; i < bytes; i++) out[i] = (position + i) * 7 + ((position + i) >> 8);
  return out;
}

/** The stream as the frames tell it: positions without hole or overlap, contents as sent. Returns its end. */
export function checkStream(frames: readonly FrameOf<'data'>[]): number {
  let end = 0;
  for (const frame of frames) {
    if (frame.position !== end) throw new Error(`position ${frame.position} after ${end}`);
    if (!frame.payload.equals(pattern(frame.position, frame.payload.length)))
      throw new Error(`wrong bytes at ${frame.position}`);
    end = frame.position + frame.size;
  }
  return end;
}
