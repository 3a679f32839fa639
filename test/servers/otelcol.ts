// A real OpenTelemetry Collector for tests: receives OTLP on free ports of 127.0.0.1 and appends each request to a file
// as OTLP/JSON.
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, watch } from 'node:fs';
import { join } from 'node:path';
import type { OtlpJson } from '../../src/exporters/otlp/json.ts';
import { freePort } from './free-port.ts';

const HERE = import.meta.dirname;

/** Why tests with the Collector cannot run here; undefined where they can. */
export const otelCollectorMissing: string | undefined =
  spawnSync('go', ['version']).status === 0
    ? undefined
    : 'no Go on this machine to build the OpenTelemetry Collector with';

export interface OtelCollector {
  /** `127.0.0.1:port` for OTLP/gRPC. */
  readonly endpoint: string;
  readonly httpUrl: string;
  readonly metricsUrl: string;
  /** What it received; one JSON object a line. */
  readonly file: string;
  /** All requests that were received so far. */
  requests(): OtlpJson[];
  /** The lines of the file since the last call; whole lines only. */
  newLines(): string[];
  /** Resolves with all requests as soon as `isEnough` of them holds. */
  received(isEnough: (requests: OtlpJson[]) => boolean, timeoutMs?: number): Promise<OtlpJson[]>;
  /** SIGTERM; resolves once it has ended. */
  stop(): Promise<void>;
  /** SIGKILL; resolves once it has ended. */
  kill(): Promise<void>;
}

export interface OtelCollectorOptions {
  /** Of the test: for the file that it writes. */
  readonly dir: string;
  /** To come back at the same place; any free port else. */
  readonly grpcPort?: number;
}

/** Builds it if that was not done before, which takes minutes. */
export function otelCollectorBinary(): string {
  return execFileSync(join(HERE, 'build.sh'), ['otelcol'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim();
}

/** Resolves once it listens; rejects with what it printed where it ends before. */
export async function startOtelCollector({ dir, grpcPort }: OtelCollectorOptions): Promise<OtelCollector> {
  const [grpc, http, metrics] = await Promise.all([grpcPort ?? freePort(), freePort(), freePort()]);
  mkdirSync(dir, { recursive: true });
  const file = join(dir, 'telemetry.jsonl');
  const child = spawn(otelCollectorBinary(), ['--config', join(HERE, 'otelcol', 'config.yaml')], {
    env: {
      ...process.env,
      OTLP_GRPC_PORT: String(grpc),
      OTLP_HTTP_PORT: String(http),
      METRICS_PORT: String(metrics),
      OUT_FILE: file,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  await ready(child);
  const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  };
  const lines = (): string[] => (existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : []);
  const requests = (): OtlpJson[] => lines().map((line) => JSON.parse(line) as OtlpJson);
  let linesSeen = 0;
  return {
    endpoint: `127.0.0.1:${grpc}`,
    httpUrl: `http://127.0.0.1:${http}`,
    metricsUrl: `http://127.0.0.1:${metrics}/metrics`,
    file,
    requests,
    newLines: () => {
      const added = lines().slice(linesSeen);
      linesSeen += added.length;
      return added;
    },
    received: (isEnough, timeoutMs = 20_000) => whenChanged(dir, requests, isEnough, timeoutMs),
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  };
}

/** Looks again whenever something in the folder changes. */
async function whenChanged(
  dir: string,
  requests: () => OtlpJson[],
  isEnough: (requests: OtlpJson[]) => boolean,
  timeoutMs: number,
): Promise<OtlpJson[]> {
  const watcher = watch(dir);
  try {
    const limit = AbortSignal.timeout(timeoutMs);
    for (;;) {
      const changed = once(watcher, 'change', { signal: limit });
      const now = requests();
      if (isEnough(now)) {
        changed.catch(() => {});
        return now;
      }
      await changed.catch((error: unknown) => {
        throw new Error(`the Collector wrote ${now.length} requests, and not what was waited for`, { cause: error });
      });
    }
  } finally {
    watcher.close();
  }
}

async function ready(child: ChildProcess): Promise<void> {
  let log = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-16_384);
      if (log.includes('Everything is ready')) resolve();
    });
    child.once('exit', (code) => reject(new Error(`the Collector ended with ${code}:\n${log}`)));
    child.once('error', reject);
  });
  // Its log goes on; an unread pipe would block it.
  child.stderr?.resume();
}
