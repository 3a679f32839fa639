// sluice local: all roles in one process on one host, from a folder of manifests.
import { readFileSync, statSync } from 'node:fs';
import { homedir, hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { parseIdentityRules } from '../collector/identity/rules.ts';
import type { FrameSource } from '../collector/sources/source.ts';
import type { Fault } from '../crds/script-conditions.ts';
import { openLedger, type Ledger } from '../ledger/ledger.ts';
import { formatTime, now } from '../model/time.ts';
import { createRuntime } from '../runtime/runtime.ts';
import { openSender } from '../runtime/senders.ts';
import { risingClock } from '../schedule/clock.ts';
import { addressArg, choiceArg } from './args.ts';
import { dropToSudoUser, liveSource, startAgent, sudoIds } from './capture.ts';
import { UsageError, type Command, type CommandIo } from './command.ts';
import { failureText } from './failure.ts';
import { createControl } from './local/control.ts';
import { readFolder, readStatus, removeStatus, watchFolder, writeStatus } from './local/folder.ts';
import { LOG_LEVELS, openLog } from '../observe/log.ts';
import { createPublisher } from './local/publish.ts';
import { consoleOf, createView, problemLine } from './local/view.ts';
import { presetNames, presetText } from './presets.ts';
import { replaySource } from './replay.ts';
import { version } from './version.ts';

const HELP = `Usage: sluice local --manifests DIR [--state DIR] [--connect-to HOST:PORT=ADDR:PORT]… [--identity FILE]

Everything in one process on this host, without Kubernetes: captures, runs the ExportScripts in DIR on their windows,
delivers to their OtelPlugins, and shows the table that 'kubectl get exportscripts' shows. Secrets and ConfigMaps in DIR
serve references. Files may change while it runs. Needs the rights for eBPF: root, or
'sudo setcap cap_bpf,cap_perfmon+ep build/sluice-probe'.

  --manifests DIR    folder of manifests (.yaml, .yml, .json), as 'kubectl apply -f DIR' takes them
  --state DIR        where ledger, spool and statuses are kept (default: $XDG_STATE_HOME/sluice,
                     else ~/.local/state/sluice, under sudo of the user who called it)
  --connect-to HOST:PORT=ADDR:PORT
                     connect to ADDR:PORT where a manifest says HOST:PORT; may be repeated
  --identity FILE    rules that name processes (docs/identity.md)
  --both-sides       also rows of the client's side where the server is on this host
  --from FILE.slrec  replay a recording at its own pace instead of capturing, as if it happened now
  --format FORMAT    text (default: a table on a terminal, lines elsewhere) or json (an object a line)
  --log-level LEVEL  ${LOG_LEVELS.join(', ')} (warn); log lines are JSON on standard error
  --help             this text

Ends at SIGINT or SIGTERM; what is committed and not yet delivered goes out at the next start.
`;

/** Time that runs under way and deliveries get when the process ends. */
const STOP_GRACE_MS = 5000;
const OBSERVE_MS = 1000;
/** Slewing and the readings' own jitter are no step of the clock. */
const AHEAD_MS_MIN = 100;
const aheadMs = (ns: number): number => (ns / 1e6 < AHEAD_MS_MIN ? 0 : Math.round(ns / 1e6));

interface LocalOptions {
  readonly manifests: string;
  readonly state: string | undefined;
  readonly connectTo: ReadonlyMap<string, string>;
  readonly identity: string | undefined;
  readonly bothSides: boolean;
  readonly from: string | undefined;
  readonly format: 'text' | 'json';
  readonly logLevel: (typeof LOG_LEVELS)[number];
}

function parse(argv: readonly string[]): LocalOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      manifests: { type: 'string' },
      state: { type: 'string' },
      'connect-to': { type: 'string', multiple: true, default: [] },
      identity: { type: 'string' },
      'both-sides': { type: 'boolean', default: false },
      from: { type: 'string' },
      format: { type: 'string', default: 'text' },
      'log-level': { type: 'string', default: 'warn' },
    },
  });
  if (values.manifests === undefined) throw new UsageError('--manifests DIR is missing');
  if (statSync(values.manifests, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new UsageError(`--manifests: '${values.manifests}' is not a folder`);
  }
  const connectTo = new Map<string, string>();
  for (const pair of values['connect-to']) {
    const [from = '', to = '', more] = pair.split('=');
    if (more !== undefined || to === '') throw new UsageError(`--connect-to is HOST:PORT=ADDR:PORT, not '${pair}'`);
    addressArg('connect-to', from);
    addressArg('connect-to', to);
    connectTo.set(from, to);
  }
  return {
    manifests: values.manifests,
    state: values.state,
    connectTo,
    identity: values.identity,
    bothSides: values['both-sides'],
    from: values.from,
    format: choiceArg('format', values.format, ['text', 'json']),
    logLevel: choiceArg('log-level', values['log-level'], LOG_LEVELS),
  };
}

/** Live, or a recording; `started` resolves once rows can come. */
function openInput(
  { from }: LocalOptions,
  io: CommandIo,
  onLine: (line: string) => void,
): { readonly source: FrameSource; readonly started: Promise<bigint | void>; readonly close: () => void } {
  if (from === undefined) {
    const { source, close } = liveSource({ io, onLine });
    return { source, started: source.connected, close };
  }
  const source = replaySource(from);
  return { source, started: source.shiftNs, close: () => undefined };
}

/** The state folder where none is named. Under sudo HOME is root's; root is given up when this is asked. */
function stateFolder(env: CommandIo['env'], isSudo: boolean): string {
  const home = isSudo ? userInfo().homedir : homedir();
  return join(env['XDG_STATE_HOME'] ?? join(home, '.local', 'state'), 'sluice');
}

async function serve(options: LocalOptions, io: CommandIo): Promise<number> {
  const view = createView(io, options.format);
  const log = openLog(io.stderr, options.logLevel);
  const onFault = (what: string, error: unknown): void => void log.error(what, { error: failureText(error) });
  const onLine = (line: string): void => void log.info('probe', { line });
  const identityRules =
    options.identity === undefined ? [] : parseIdentityRules(readFileSync(options.identity, 'utf8'), options.identity);

  const { source, started, close } = openInput(options, io, onLine);
  const { agent } = startAgent(source, { identityRules, bothSides: options.bothSides });
  let ledger: Ledger | undefined;
  try {
    await Promise.race([started, agent.ended]);
    const isSudo = options.from === undefined && sudoIds(io.env) !== undefined;
    if (isSudo) dropToSudoUser(io.env);
    const state = options.state ?? stateFolder(io.env, isSudo);
    // only now: what is in the folder belongs to the user who stays
    ledger = await openLedger(state);
    const since = formatTime(agent.state().startTime, 3);
    const capture =
      options.from === undefined ? `capturing on ${hostname()} since ${since}` : `replaying ${options.from}`;
    // `shiftNs`: what a recording's times were moved by
    view.note('capturing', capture, { since, shiftNs: String((await started) ?? 0) });

    let sourceFault: Fault | undefined;
    const followSource = async (): Promise<void> => {
      try {
        await agent.ended;
        if (!io.signal.aborted) view.note('ended', 'the recording is over; its last windows are delivered');
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        sourceFault = { reason: 'SourceFailed', message };
        view.note('failed', message);
        log.error('the source of rows failed', { error: message });
      }
    };
    void followSource();

    const console = consoleOf(io, options.format);
    const runtime = createRuntime({
      ledger,
      nodes: () => [agent.node],
      openSender: (destination) => openSender(destination, { connectTo: options.connectTo, console }),
      preset: (name) => Promise.resolve(presetText(name)),
      now,
      clock: () => performance.now(),
      random: Math.random,
      forbidScriptEndpoint: false,
      onFault,
      version,
    });
    const clock = risingClock({ wall: now, monotonic: () => process.hrtime.bigint() });
    const nowMs = (): number => Number(clock() / 1_000_000n);
    const publisher = createPublisher({
      view,
      nowMs,
      startedMs: nowMs(),
      node: agent.node.name,
      write: (id, status) => writeStatus(state, id, status),
      remove: (id) => removeStatus(state, id),
      onFault,
    });
    const { highestEpoch } = await runtime.hello(0);
    const control = createControl({
      runtime,
      presetNames: presetNames(),
      readManifests: () => readFolder(options.manifests),
      now: clock,
      epoch: highestEpoch + 1,
      publisher,
      previousStatus: (script) =>
        readStatus(state, { kind: 'ExportScript', namespace: script.namespace, name: script.name }),
      signal: io.signal,
      onFault,
    });
    watchFolder(options.manifests, io.signal, () => void control.reconcile());
    await control.reconcile();
    for (const problem of control.problems()) log.error('manifest', { problem: problemLine(problem) });
    while (!io.signal.aborted) {
      control.check();
      publisher.observe({
        runtime: await runtime.state(),
        blind: agent.state().blind,
        capture,
        clockAheadMs: aheadMs(agent.metrics().clockAheadNs),
        sourceFault,
      });
      await sleep(OBSERVE_MS, undefined, { signal: io.signal }).catch(() => undefined);
    }
    await control.stop(STOP_GRACE_MS);
    await runtime.stop(STOP_GRACE_MS);
    return 0;
  } finally {
    await agent.stop();
    close();
    await ledger?.close();
  }
}

export const local: Command = {
  name: 'local',
  summary: 'everything in one process on this host',
  help: HELP,
  run: (argv, io) => serve(parse(argv), io),
};
