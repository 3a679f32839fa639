// One leader's term, in the order that keeps two leaders apart: read the checkpoints, find an epoch above all others, write
// it into every shard, say hello, read the ledgers, and only then plan (design.md section 4, Run; operator.md S10, R29).
import { createDispatcher } from '../dispatcher.ts';
import { readCheckpoints, type Checkpoints, type CheckpointsOptions } from './checkpoints.ts';
import type { Dispatch, DispatchEnd, RuntimeFact, TakeOverOptions } from './contract.ts';
import { createRuntimes } from './runtimes.ts';

/** Runtimes that do not answer a first hello by then are asked later; what they know may end this term. */
const HELLO_MS = 2000;
const RUNS_MAX = 16;

const monotonicMs = (): number => performance.now();

/**
 * Takes over as the leader of `term`. Rejects where the checkpoints cannot be read or written, or the term ends meanwhile;
 * while the lease holds the caller may try again, also after `ended` said `Superseded`.
 */
export async function takeOver(options: TakeOverOptions): Promise<Dispatch> {
  return lead(options, (events) =>
    readCheckpoints({
      kube: options.kube,
      namespace: options.namespace,
      labels: options.labels,
      now: options.now,
      monotonicMs,
      writer: options.term.identity,
      signal: options.term.signal,
      metrics: options.metrics,
      onFault: options.onFault,
      ...events,
    }),
  );
}

/** The same, on whatever keeps the checkpoints. */
export async function lead(
  options: Omit<TakeOverOptions, 'kube' | 'namespace' | 'labels'>,
  read: (events: Pick<CheckpointsOptions, 'mayWrite' | 'onSuperseded'>) => Promise<Checkpoints>,
): Promise<Dispatch> {
  const { term, metrics, onFault } = options;
  const { promise: ended, resolve } = Promise.withResolvers<DispatchEnd>();
  let isOver = false;
  // replaced once there is something to end
  let end = (_why: DispatchEnd): void => undefined;
  const superseded = (): void => end('Superseded');

  const checkpoints = await read({
    mayWrite: () => !isOver && term.mayWrite(),
    onSuperseded(error) {
      onFault('another leader has written', error);
      superseded();
    },
  });
  const heard = await highestHello(options.connect, Math.max(options.replicas, checkpoints.runtimes?.most ?? 1));
  const epoch = 1 + Math.max(term.transitions, checkpoints.epochRead, heard);
  try {
    await checkpoints.begin(epoch);
    term.signal.throwIfAborted();
  } catch (error) {
    checkpoints.close();
    throw error;
  }

  // where nobody has led before no ledger holds anything
  const isFirst = checkpoints.epochRead === 0 && heard === 0;
  const { replicas } = options;
  const note =
    checkpoints.runtimes ??
    (isFirst ? { least: replicas, most: replicas, ledgers: new Map<number, string>() } : undefined);

  const up = metrics.gauge('sluice_runtime_up');
  const facts = (): readonly RuntimeFact[] =>
    runtimes.facts().map((fact) => ({ ...fact, ...dispatcher.load(fact.ordinal) }));
  let shown: ReadonlySet<number> = new Set();
  function onChange(): void {
    const now = facts();
    for (const { ordinal, state } of now) {
      up.set(state === 'Ready' || state === 'Leaving' ? 1 : 0, { runtime: String(ordinal) });
    }
    const ordinals = new Set(now.map(({ ordinal }) => ordinal));
    for (const ordinal of shown) if (!ordinals.has(ordinal)) up.remove({ runtime: String(ordinal) });
    shown = ordinals;
    options.onRuntimes?.(now);
  }

  const runtimes = createRuntimes({
    epoch,
    replicas: options.replicas,
    note,
    connect: options.connect,
    store: (note) => checkpoints.store(note),
    onSuperseded: superseded,
    onChange,
    monotonicMs,
    onFault,
  });
  const dispatcher = createDispatcher({
    targets: runtimes,
    epoch,
    now: options.now,
    listener: options.listener,
    runsMax: options.runsMax ?? RUNS_MAX,
    checkpoint: checkpoints,
    mayRun: () => !isOver && term.mayWrite(),
    metrics,
    onFault,
  });

  end = (why) => {
    if (isOver) return undefined;
    isOver = true;
    dispatcher.halt(new Error(`dispatch is over: ${why}`));
    checkpoints.close();
    runtimes.close();
    term.signal.removeEventListener('abort', leaseLost);
    resolve(why);
    return undefined;
  };
  const leaseLost = (): void => end('LeaseLost');
  term.signal.addEventListener('abort', leaseLost, { once: true });
  runtimes.open(dispatcher);
  if (term.signal.aborted) leaseLost();

  return {
    epoch,
    ended,
    set: (script) => dispatcher.set(script),
    hold: (uid) => dispatcher.hold(uid),
    remove(uid) {
      dispatcher.remove(uid);
      checkpoints.gone(uid);
    },
    retain: (uids) => checkpoints.retain(uids),
    progress: (uid) => dispatcher.progress(uid),
    unavailable(uid) {
      for (const ordinal of dispatcher.awaits(uid)) {
        const why = runtimes.whyDown(ordinal);
        if (why === undefined) continue;
        const message = `runtime ${ordinal} is not reached: ${why}; what is due waits for it and is caught up`;
        return { reason: 'RuntimeUnavailable', message: message.slice(0, 512) };
      }
      return undefined;
    },
    runNow: (uid, token) => dispatcher.runNow(uid, token),
    compile: (request) => runtimes.compile(request),
    putDestination: (uid, revision, destination) => runtimes.putDestination(uid, revision, destination),
    removeDestination: (uid, graceMs) => runtimes.removeDestination(uid, graceMs),
    retainDestinations: (uids) => runtimes.retainDestinations(uids),
    resize: (replicas) => runtimes.resize(replicas),
    replicasNeeded: () => runtimes.replicasNeeded(),
    runtimes: facts,
    async stop(graceMs) {
      if (isOver) return;
      await dispatcher.stop(graceMs);
      if (!isOver && term.mayWrite()) {
        await checkpoints.flush().catch((error: unknown) => onFault('writing the checkpoints at the end', error));
      }
      end('Stopped');
    },
  };
}

/** The highest epoch that a runtime which answers now knows; 0 where none does. A hello of epoch 0 raises nothing. */
async function highestHello(connect: TakeOverOptions['connect'], count: number): Promise<number> {
  const nobody = { connected: () => undefined, disconnected: () => undefined };
  const late = Promise.withResolvers<number>();
  const timer = setTimeout(() => late.resolve(0), HELLO_MS);
  const ask = async (ordinal: number): Promise<number> => {
    const client = connect(ordinal, nobody);
    try {
      const answered = client.hello(0).then(({ highestEpoch }) => highestEpoch);
      return await Promise.race([answered, late.promise]);
    } catch {
      return 0;
    } finally {
      client.close();
    }
  };
  const epochs = await Promise.all(Array.from({ length: count }, (_, ordinal) => ask(ordinal)));
  clearTimeout(timer);
  return Math.max(0, ...epochs);
}
