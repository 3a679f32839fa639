// What does capturing cost the server that is captured, and the node? nginx under wrk, with and without the probe,
// interleaved; CPU per request of nginx, agent and probe, and what was lost. Only nginx is traced.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startNginx } from '../test/servers/nginx.ts';

const PAIRS = Number(process.env['PAIRS'] ?? 7);
const SECONDS = Number(process.env['SECONDS_EACH'] ?? 3);
const TICK_US = 10_000;

const place = mkdtempSync(join(tmpdir(), 'sluice-bench-'));

/** User and system CPU of a process and its threads, microseconds. */
function cpuUs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_US;
}

const rssMb = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;

const childrenOf = (pid: number): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((one) => {
      try {
        return (
          Number(
            readFileSync(`/proc/${one}/stat`, 'utf8')
              .replace(/^.*\) /s, '')
              .split(' ')[1],
          ) === pid
        );
      } catch {
        return false;
      }
    });

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
const spread = (values: readonly number[]): string =>
  `${Math.min(...values).toFixed(2)}–${Math.max(...values).toFixed(2)}`;

async function wrk(port: number): Promise<number> {
  const child = spawn('wrk', ['-t1', '-c16', `-d${SECONDS}s`, `http://127.0.0.1:${port}/hello`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (chunk) => (text += String(chunk)));
  await once(child, 'close');
  return Number(/(\d+) requests in/.exec(text)?.[1] ?? 0);
}

interface Collector {
  readonly agentPid: number;
  readonly probePid: number;
  /** Sends a command and reads the agent's counters as JSON. */
  metrics(): Promise<Record<string, number>>;
  stop(): Promise<void>;
}

async function startCollector(pid: number): Promise<Collector> {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=4', 'bench/capture-agent.ts', String(pid)],
    {
      // as bin/sluice starts it
      env: { ...process.env, MALLOC_ARENA_MAX: '1' },
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  const lines: string[] = [];
  let wake: (() => void) | undefined;
  child.stdout.on('data', (chunk) => {
    lines.push(
      ...String(chunk)
        .split('\n')
        .filter((line) => line !== ''),
    );
    wake?.();
  });
  const next = async (): Promise<Record<string, number>> => {
    while (lines.length === 0) await new Promise<void>((resolve) => (wake = resolve));
    return JSON.parse(lines.shift() ?? '{}') as Record<string, number>;
  };
  await next();
  const agentPid = child.pid ?? 0;
  const [probePid = 0] = childrenOf(agentPid);
  return {
    agentPid,
    probePid,
    metrics: async () => {
      child.stdin.write('metrics\n');
      return next();
    },
    stop: async () => {
      const ended = once(child, 'exit');
      child.stdin.end();
      await ended;
    },
  };
}

if (spawnSync('wrk', ['-v']).error !== undefined) throw new Error('wrk is not installed (apt-get install wrk)');
const nginx = await startNginx(place);
const [master = 0] = childrenOf(process.pid);
const [worker = 0] = childrenOf(master);
await wrk(nginx.port);

const off: number[] = [];
const on: number[] = [];
const agent: number[] = [];
const probe: number[] = [];
const rates: number[] = [];
let [requests, rows, lost, rss] = [0, 0, 0, 0];
for (let i = 0; i < PAIRS; i++) {
  const before = cpuUs(worker);
  const plain = await wrk(nginx.port);
  off.push((cpuUs(worker) - before) / plain);

  const collector = await startCollector(worker);
  const start = {
    worker: cpuUs(worker),
    agent: cpuUs(collector.agentPid),
    probe: cpuUs(collector.probePid),
    metrics: await collector.metrics(),
  };
  const traced = await wrk(nginx.port);
  const metrics = await collector.metrics();
  on.push((cpuUs(worker) - start.worker) / traced);
  agent.push((cpuUs(collector.agentPid) - start.agent) / traced);
  probe.push((cpuUs(collector.probePid) - start.probe) / traced);
  rates.push(traced / SECONDS);
  requests += traced;
  rows += (metrics['rows'] ?? 0) - (start.metrics['rows'] ?? 0);
  lost += metrics['lost'] ?? 0;
  rss = Math.max(rss, rssMb(collector.agentPid) - (metrics['tableBytes'] ?? 0) / 2 ** 20);
  await collector.stop();
}
await nginx.stop();
rmSync(place, { recursive: true, force: true });

const added = on.map((value, i) => value - (off[i] ?? 0));
const total = added.map((value, i) => value + (agent[i] ?? 0) + (probe[i] ?? 0));
const line = (name: string, values: readonly number[]): string =>
  `${name.padEnd(44)} ${median(values).toFixed(2).padStart(7)}   ${spread(values)}`;
console.log(
  `nginx, 1 worker, keep-alive, wrk -t1 -c16, ${PAIRS} interleaved pairs of ${SECONDS} s; µs of CPU per request, median, spread`,
);
console.log(line('nginx without the probe (rival)', off));
console.log(line('nginx with it', on));
console.log(line('difference', added));
console.log(line('agent (HTTP rows into tables)', agent));
console.log(line('probe process', probe));
console.log(line('kernel side and agent together = mCPU per 1,000/s', total));
console.log(
  `${Math.round(median(rates))} requests/s; ${requests} requests, ${rows} rows, ${lost} declared lost at most; ratio with/without ${(median(on) / median(off)).toFixed(2)}`,
);
console.log(`agent RSS less bytes in tables: ${rss.toFixed(0)} MB`);
