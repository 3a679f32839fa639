// `make test`: every check, one after the other, with one closing line `N passed, N failed, N skipped`. A check that
// fails does not hide the next one.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const bin = (name: string): string => join('node_modules/.bin', name);
const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'));

interface Check {
  readonly name: string;
  /** After which it has failed, whatever it waits for. */
  readonly minutes?: number;
  readonly command: readonly [string, ...string[]];
  readonly env?: Record<string, string>;
  /** Where jest puts its counts. */
  readonly report?: string;
}

/** These watch the whole machine by the probe: one after the other, so that none sees another's servers. */
const LIVE = 'test/(probe/|collector/live|e2e/(nginx|restarts|bad-probe))';
/** Real Kubernetes nodes, whose eBPF sees the whole machine too. */
const NODES = 'test/(cluster/cluster\\.|e2e-cluster/)';
/** Each file with an API server of its own: two at a time are what two cores take. */
const CONTROL_PLANE = 'test/(cluster/(?!cluster\\.)|kube/|controllers/|operator/)';
const only = process.argv.slice(2);
const jest = (name: string, args: readonly string[]): Check => ({
  name,
  minutes: 20,
  command: [
    bin('jest'),
    ...args,
    ...(only.length > 0 ? ['--passWithNoTests', ...only] : []),
    '--json',
    `--outputFile=${join(folder, name)}.json`,
  ],
  env: { NODE_OPTIONS: '--experimental-vm-modules --disable-warning=ExperimentalWarning' },
  report: join(folder, `${name}.json`),
});

const checks: Check[] = [
  { name: 'types', command: [bin('tsc'), '--noEmit'] },
  { name: 'format', command: [bin('prettier'), '--check', '--log-level=warn', '.'] },
  { name: 'lint', command: [bin('oxlint'), '-c', '.oxlintrc.json', 'src', 'test', 'bench', 'scripts'] },
  { name: 'dead code', command: [bin('knip'), '--no-progress'] },
  { name: 'probe', command: ['make', '--no-print-directory', '-C', 'probe', 'test'] },
  // many of them wait for windows to end more than they work
  jest('tests', ['--maxWorkers=3', `--testPathIgnorePatterns=${LIVE}|${NODES}|${CONTROL_PLANE}`]),
  jest('control plane', ['--maxWorkers=2', `--testPathPatterns=${CONTROL_PLANE}`]),
  jest('live', ['--runInBand', `--testPathPatterns=${LIVE}`]),
  jest('nodes', ['--runInBand', `--testPathPatterns=${NODES}`]),
];

let [passed, failed, skipped] = [0, 0, 0];
const failures: string[] = [];
for (const { name, command, env, report, minutes = 10 } of checks) {
  const start = performance.now();
  const [program, ...args] = command;
  const limit = { timeout: minutes * 60_000, killSignal: 'SIGKILL' } as const;
  const { status, error } = spawnSync(program, args, { stdio: 'inherit', env: { ...process.env, ...env }, ...limit });
  if (error !== undefined) process.stdout.write(`${name}: ${error.message}\n`);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  process.stdout.write(`${status === 0 ? 'ok  ' : 'FAIL'}  ${name} (${seconds} s)\n`);
  if (report === undefined) {
    if (status === 0) passed++;
    else {
      failed++;
      failures.push(name);
    }
    continue;
  }
  const totals: unknown = readReport(report);
  const count = (key: string): number => {
    const value: unknown = typeof totals === 'object' && totals !== null ? Reflect.get(totals, key) : 0;
    return typeof value === 'number' ? value : 0;
  };
  passed += count('numPassedTests');
  skipped += count('numPendingTests') + count('numTodoTests');
  const bad = count('numFailedTests') + count('numRuntimeErrorTestSuites');
  // a jest that died without a report is a failure too
  failed += status === 0 ? bad : Math.max(1, bad);
  if (status !== 0) failures.push(name);
}

function readReport(report: string): unknown {
  try {
    return JSON.parse(readFileSync(report, 'utf8'));
  } catch {
    return undefined;
  }
}

rmSync(folder, { recursive: true, force: true });
if (failures.length > 0) process.stdout.write(`failed: ${failures.join(', ')}\n`);
process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`);
process.exitCode = failed === 0 ? 0 : 1;
