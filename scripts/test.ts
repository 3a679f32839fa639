// `make test`: every check, with one closing line `N passed, N failed, N skipped`. A check that
// fails does not hide the next one.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

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

/** Of what jest writes: its counts are read by name. */
interface JestReport {
  readonly testResults?: readonly {
    readonly name: string;
    /** In milliseconds. */
    readonly startTime: number;
    readonly endTime: number;
    /** Why the file as a whole failed; also the failures of its tests, one after the other. */
    readonly message?: string;
    readonly assertionResults?: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages?: readonly string[];
    }[];
  }[];
}

/** These watch the whole machine by the probe: one after the other, so that none sees another's servers. */
const LIVE = 'test/(probe/|collector/live|e2e/(nginx|restarts|bad-probe))';
/** Real Kubernetes nodes, whose eBPF sees the whole machine too. */
const NODES = 'test/(cluster/cluster\\.|e2e-cluster/(?!soak))';
/** `make soak`. */
const SOAK = 'test/e2e-cluster/soak';
/** Most files with an API server of their own. */
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
  env: {
    NODE_OPTIONS: '--experimental-vm-modules --disable-warning=ExperimentalWarning',
    // the many processes of ours that suites start load half as long
    NODE_COMPILE_CACHE: join(process.cwd(), 'build', 'compile-cache'),
  },
  report: join(folder, `${name}.json`),
});

/** One after the other, beside the first of the suites: no traffic, no servers, nothing that they would wait for. */
const still: readonly Check[] = [
  { name: 'types', command: [bin('tsc'), '--noEmit'] },
  { name: 'format', command: [bin('prettier'), '--check', '--log-level=warn', '.'] },
  { name: 'lint', command: [bin('oxlint'), '-c', '.oxlintrc.json', 'src', 'test', 'bench', 'scripts'] },
  { name: 'dead code', command: [bin('knip'), '--no-progress'] },
];
const probe: Check = { name: 'probe', command: ['make', '--no-print-directory', '-C', 'probe', 'test'] };
// many of them wait for windows to end more than they work
const tests = jest('tests', [
  '--maxWorkers=3',
  `--testPathIgnorePatterns=${[LIVE, NODES, CONTROL_PLANE, SOAK].join('|')}`,
]);
// these wait, too: for leases to run out and for windows to end
const controlPlane = jest('control plane', ['--maxWorkers=4', `--testPathPatterns=${CONTROL_PLANE}`]);
const live = jest('live', ['--runInBand', `--testPathPatterns=${LIVE}`]);
const nodes = jest('nodes', ['--runInBand', `--testPathPatterns=${NODES}`]);

let [passed, failed, skipped] = [0, 0, 0];
const failures: string[] = [];
const reasons: string[] = [];

async function each(checks: readonly Check[], output: 'now' | 'at its end'): Promise<void> {
  for (const check of checks) await run(check, output);
}

async function run({ name, command, env, report, minutes = 10 }: Check, output: 'now' | 'at its end'): Promise<void> {
  const start = performance.now();
  const { status, text } = await outcome(command, env, minutes, output);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  process.stdout.write(`${text}${status === 0 ? 'ok  ' : 'FAIL'}  ${name} (${seconds} s)\n`);
  if (status !== 0) failures.push(name);
  if (report === undefined) {
    if (status === 0) passed++;
    else failed++;
    return;
  }
  const totals = readReport(report);
  const count = (key: string): number => {
    const value: unknown = Reflect.get(totals, key);
    return typeof value === 'number' ? value : 0;
  };
  reasons.push(...failedTests(totals));
  for (const line of slowest(totals)) process.stdout.write(`      ${line}\n`);
  passed += count('numPassedTests');
  skipped += count('numPendingTests') + count('numTodoTests');
  const bad = count('numFailedTests') + count('numRuntimeErrorTestSuites');
  // a jest that died without a report is a failure too
  failed += status === 0 ? bad : Math.max(1, bad);
}

/** `text`: what it wrote, where that was not passed on, and why it did not run to its end. */
function outcome(
  [program, ...args]: Check['command'],
  env: Check['env'],
  minutes: number,
  output: 'now' | 'at its end',
): Promise<{ readonly status: number | null; readonly text: string }> {
  const child = spawn(program, args, {
    stdio: output === 'now' ? 'inherit' : ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    timeout: minutes * 60_000,
    killSignal: 'SIGKILL',
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (part: string) => (text += part));
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ status: null, text: `${text}${program}: ${error.message}\n` }));
    child.once('close', (status, signal) => {
      const why = signal === null ? '' : `${program}: ${signal}, after ${minutes} minutes or by somebody's hand\n`;
      resolve({ status, text: text + why });
    });
  });
}

/** What jest wrote; empty where it died before. */
function readReport(report: string): JestReport {
  try {
    return JSON.parse(readFileSync(report, 'utf8')) as JestReport;
  } catch {
    return {};
  }
}

/** Of a message: enough to know what was waited for and where in our own files. */
function head(message: string): string {
  return stripVTControlCharacters(message)
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^\s+at .*(node_modules|\(?node:)/.test(line))
    .slice(0, 16)
    .map((line) => `    ${line}\n`)
    .join('');
}

/** Each test that failed with its reason, to be read at the end of a long log. */
function failedTests({ testResults = [] }: JestReport): string[] {
  return testResults.flatMap(({ name, message = '', assertionResults = [] }) => {
    const file = relative(process.cwd(), name);
    const failed = assertionResults.filter(({ status }) => status === 'failed');
    if (failed.length === 0 && message !== '') return [`  ${file}\n${head(message)}`];
    return failed.map(
      ({ fullName, failureMessages = [] }) => `  ${file} › ${fullName}\n${head(failureMessages.join('\n'))}`,
    );
  });
}

/** The five suites that took longest. */
function slowest({ testResults = [] }: JestReport): string[] {
  const seconds = testResults.map(({ name, startTime, endTime }) => ({ name, took: (endTime - startTime) / 1000 }));
  return seconds
    .toSorted((a, b) => b.took - a.took)
    .slice(0, 5)
    .map(({ name, took }) => `${took.toFixed(1).padStart(6)} s  ${relative(process.cwd(), name)}`);
}

await run(probe, 'now');
await Promise.all([each(still, 'at its end'), run(tests, 'now')]);
await each([controlPlane, live, nodes], 'now');

rmSync(folder, { recursive: true, force: true });
if (failures.length > 0) process.stdout.write(`failed: ${failures.join(', ')}\n${reasons.join('')}`);
process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`);
process.exitCode = failed === 0 ? 0 : 1;
