// What the leader's two threads tell each other, and what the election's thread begins with.
import type { KubeAccessOptions } from './config.ts';
import type { LeaseTimes } from './leader-election.ts';

export interface LeaderWorkerData extends LeaseTimes {
  readonly buffer: SharedArrayBuffer;
  readonly access: Pick<KubeAccessOptions, 'kubeconfig' | 'context' | 'serviceAccountDir'>;
  readonly userAgent: string;
  readonly namespace: string;
  readonly name: string;
  readonly identity: string;
  readonly firstTerm: number;
  /** The main thread's loop may stand still for that long. */
  readonly loopLagMaxMs: number;
}

export type FromElection =
  | { readonly kind: 'acquired'; readonly term: number; readonly transitions: number }
  | { readonly kind: 'lost'; readonly term: number; readonly reason: string }
  | { readonly kind: 'observed'; readonly holder: string }
  | { readonly kind: 'failed'; readonly message: string }
  /** The lease is released, or was not ours; the thread ends. */
  | { readonly kind: 'stopped' };

export type ToElection =
  | { readonly kind: 'step-down'; readonly term: number; readonly reason: string }
  | { readonly kind: 'rejoin'; readonly term: number }
  | { readonly kind: 'stop' };
