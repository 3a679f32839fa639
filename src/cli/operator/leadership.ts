// One term after the other: at each acquisition of the lease the work of a leader begins, at its end it stops, synchronously
// as far as writes and dispatch are concerned.
import { setTimeout as sleep } from 'node:timers/promises';
import { startLeading, type Leading, type LeadingOptions } from '../../controllers/leading.ts';
import { workloadName } from '../../controllers/workloads/objects.ts';
import type { WorkloadHealth } from '../../controllers/workloads/health.ts';
import type { WorkloadsOptions } from '../../controllers/workloads/reconcile.ts';
import { startWorkloads, type Workloads } from '../../controllers/workloads/workloads.ts';
import { fencedClient } from '../../kube/fenced-client.ts';
import type { LeaderTerm } from '../../kube/leader.ts';
import { limitedClient, WRITE_LIMIT } from '../../kube/limited-client.ts';
import { SYSTEM_CLOCK } from '../../kube/timers.ts';
import { createLimiter } from '../../kube/write-limit.ts';
import type { KubeClient, KubeObject, Store } from '../../kube/types.ts';
import type { KindView } from './stores.ts';

type PerTerm = 'term' | 'client' | 'replicas' | 'health' | keyof KindView;

export interface LeadershipOptions {
  readonly leading: Omit<LeadingOptions, PerTerm>;
  /** What can be read now. */
  readonly view: () => KindView;
  /** Not fenced: terms fence it. */
  readonly client: KubeClient;
  readonly identity: string;
  /** Of the runtimes, as the settings want them now. */
  readonly replicas: () => number;
  /** Undefined where the workloads are not ours to deploy. */
  readonly workloads: Omit<WorkloadsOptions, 'client' | 'isSpoolEmpty' | 'onHealth' | 'onCertificates'> | undefined;
  readonly onNote: (message: string, fields: Readonly<Record<string, unknown>>) => void;
}

export interface Leadership {
  /** The current term's work; undefined for a candidate, or while it begins. */
  readonly leading: Leading | undefined;
  begin(term: LeaderTerm): void;
  /** The term is over. Resolves when nothing of it runs any more. */
  end(reason: string): Promise<void>;
  /** Lets what runs finish while the term still holds. */
  drain(graceMs: number): Promise<void>;
  settingsChanged(): void;
  /** More can be read than when dispatch was taken over: it is taken over again, with all of it. */
  takeOverAgain(): void;
}

const RETRY_MS = 2000;
/** Runs may take that long to finish when dispatch is taken over again by the same process. */
const AGAIN_GRACE_MS = 2000;

export function createLeadership(options: LeadershipOptions): Leadership {
  const { onFault } = options.leading;
  const expiry = options.leading.metrics.gauge('sluice_certificate_expiry_timestamp_seconds');
  let certificates: readonly string[] = [];
  let leading: Leading | undefined;
  let work: Promise<void> = Promise.resolve();
  let workloads: Workloads | undefined;
  let health: WorkloadHealth | undefined;
  let over = new AbortController();
  /** Dispatch that does not see all that can be read. */
  let outdated: Leading | undefined;
  let views = 0;

  function takeOverAgain(): void {
    if (leading === undefined) return;
    outdated = leading;
    leading.stop(AGAIN_GRACE_MS).catch((error: unknown) => onFault('taking over again', error));
  }

  function deploy(client: KubeClient): Workloads | undefined {
    const given = options.workloads;
    if (given === undefined) return undefined;
    return startWorkloads({
      ...given,
      client,
      metrics: options.leading.metrics,
      onFailure: ({ error }) => onFault('deploying the workloads', error),
      // what dispatch does not need any more has nothing left to send
      isSpoolEmpty: (ordinal) => (leading === undefined ? undefined : ordinal >= leading.replicasNeeded()),
      onCertificates: (ends) => {
        certificates = Object.keys(ends);
        for (const [certificate, endMs] of Object.entries(ends)) expiry.set(endMs / 1000, { certificate });
      },
      onHealth: (next) => {
        health = next;
        leading?.healthChanged();
      },
    });
  }

  /** Takes over, again and again until it succeeds or the term ends; dispatch that ended by itself is taken over again. */
  async function lead(term: LeaderTerm, client: KubeClient, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const seen = views;
      try {
        leading = await startLeading({
          ...options.leading,
          ...options.view(),
          term: {
            signal: term.signal,
            mayWrite: () => term.mayWrite(),
            transitions: term.transitions,
            identity: options.identity,
          },
          client,
          replicas: options.replicas(),
          health: () => health,
        });
        options.onNote('leads', { epoch: leading.epoch, identity: options.identity });
        if (seen !== views) takeOverAgain();
        const why = await leading.ended;
        const ended = leading;
        leading = undefined;
        await ended.stop(0);
        if (why !== 'Superseded' && ended !== outdated) return;
        options.onNote('dispatch is taken over again', { why });
      } catch (error) {
        if (signal.aborted) return;
        onFault('taking over', error);
      }
      await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  return {
    get leading() {
      return leading;
    },
    begin(term) {
      over = new AbortController();
      const fenced = fencedClient(
        options.client,
        () => term.mayWrite(),
        () => term,
      );
      const client = limitedClient(fenced, createLimiter(WRITE_LIMIT, SYSTEM_CLOCK));
      workloads = deploy(client);
      work = lead(term, client, AbortSignal.any([term.signal, over.signal])).catch((error: unknown) =>
        onFault('leading', error),
      );
    },
    async end(reason) {
      options.onNote('leads no more', { reason, identity: options.identity });
      over.abort();
      const [before, deployed] = [leading, workloads];
      leading = undefined;
      workloads = undefined;
      await Promise.all([before?.stop(0), deployed?.stop(0)]);
      // another one renews them now, and this one would not see it
      for (const certificate of certificates) expiry.remove({ certificate });
      await work;
    },
    async drain(graceMs) {
      over.abort();
      await workloads?.stop(Math.min(graceMs, 2000));
      await leading?.stop(graceMs);
    },
    takeOverAgain() {
      views++;
      takeOverAgain();
    },
    settingsChanged() {
      leading?.resize(options.replicas());
      workloads?.look();
    },
  };
}

/** The key under which events of the operator itself are recorded. */
export const ownDeployment = (namespace: string, deployments: Store<KubeObject> | undefined) => {
  const name = workloadName('operator');
  const uid = deployments?.get(namespace, name)?.metadata.uid;
  return { apiVersion: 'apps/v1', kind: 'Deployment', namespace, name, ...(uid === undefined ? {} : { uid }) };
};
