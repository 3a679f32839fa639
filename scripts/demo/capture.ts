// How the demo gets traffic: from the kernel where that is possible, else from a recording that ships with it, said loudly.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

const PROBE = 'build/sluice-probe';
const RECORDING = 'scripts/demo/traffic.slrec.gz';
/** What the shop counted while the recording was made: start of each window (ms since the epoch) and its count. */
const COUNTS = 'scripts/demo/traffic.json';

export interface CaptureMode {
  readonly kind: 'live' | 'recording';
  readonly headline: string;
  readonly notes: readonly string[];
  /** Arguments for `sluice local`. */
  readonly args: readonly string[];
  /** Of a recording; its times are moved when it is replayed. */
  readonly counted: readonly (readonly [number, number])[];
}

/** Why the kernel cannot be listened to; undefined where it can. */
function obstacle(): string | undefined {
  if (!existsSync(PROBE)) return `${PROBE} is not built ('make setup' as root builds it)`;
  const { status, stderr, error } = spawnSync(PROBE, ['--check'], { encoding: 'utf8' });
  if (status === 0) return undefined;
  return error?.message ?? (stderr.trim() || `${PROBE} --check ended with ${status ?? 'a signal'}`);
}

function readCounts(): [number, number][] {
  const parsed: unknown = JSON.parse(readFileSync(COUNTS, 'utf8'));
  return Array.isArray(parsed) ? parsed.map(([start, counted]: [number, number]) => [start, counted]) : [];
}

/** `folder`: where the recording may be unpacked. */
export function captureMode(folder: string): CaptureMode {
  const why = process.env['SLUICE_DEMO_RECORDING'] === '1' ? 'SLUICE_DEMO_RECORDING=1' : obstacle();
  if (why === undefined) {
    return { kind: 'live', headline: 'kernel → probe → agent → PxL → OTLP', notes: [], args: [], counted: [] };
  }
  const file = join(folder, 'traffic.slrec');
  writeFileSync(file, gunzipSync(readFileSync(RECORDING)));
  return {
    kind: 'recording',
    headline: 'RECORDED traffic → agent → PxL → OTLP',
    notes: [
      '!! No live capture: ' + why.split('\n').join('\n!!   '),
      '!! What follows is a RECORDING of real traffic, replayed through the same path. Nothing of this machine is shown.',
    ],
    args: ['--from', file],
    counted: readCounts(),
  };
}
