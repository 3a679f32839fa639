// R24–R30 with candidates that are processes, on a real API server. Times are short; none is asserted but by order.
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { microTime } from '../../src/kube/lease-record.ts';
import { processMs } from '../../src/kube/leader-memory.ts';
import { startLeader, type LeaderNote, type LeaderTerm } from '../../src/kube/leader.ts';
import { LEASES, type Lease } from '../../src/kube/resources.ts';
import { clusterMissing } from '../cluster/binaries.ts';
import { createCountingMetrics } from './counting-metrics.ts';
import { shared, stopShared, TIMES, withElection, type Election } from './elections.ts';
import type { Candidate } from './leader-process.ts';

const suite = clusterMissing === undefined ? describe : describe.skip;
if (clusterMissing !== undefined) process.stderr.write(`\nSKIPPED: leader election: ${clusterMissing}\n`);

// of the file and not of the suite: what runs side by side begins before the hooks of suites
beforeAll(async () => {
  if (clusterMissing === undefined) await shared();
}, 120_000);
afterAll(() => stopShared());
const waiting = (steps: (election: Election) => Promise<void>) => (): Promise<void> => withElection(steps);

suite('leader election', () => {
  test.concurrent(
    'R24 R25 R26: one of two leads; a released lease is taken at once, with one transition more',
    waiting(async ({ candidate, lease, wrote }) => {
      const a = candidate('a', { leaseDurationMs: 60_000, renewDeadlineMs: 20_000 });
      expect((await a.next('acquired')).transitions).toBe(0);
      const { spec } = await lease();
      expect(spec).toMatchObject({ holderIdentity: 'a', leaseDurationSeconds: 60 });
      expect(spec?.renewTime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
      const b = candidate('b');
      await b.next('ready');
      a.tell('write:1');
      b.tell('write:1');
      await a.next('wrote');
      expect((await b.next('refused')).error).toBe('NotLeaderError');
      a.tell('stop');
      await a.next('stopped');
      // the lease would have run for a minute
      const acquired = await b.next('acquired');
      expect(acquired.transitions).toBe(1);
      b.tell('write:2');
      await b.next('wrote');
      expect(await wrote()).toEqual({ a: '1', b: '2' });
    }),
  );

  test.concurrent(
    'R26: the lease of a leader that stops is nobody’s',
    waiting(async ({ candidate, lease }) => {
      const a = candidate('a');
      await a.next('acquired');
      a.tell('stop');
      await a.next('stopped');
      expect((await lease()).spec).toMatchObject({ holderIdentity: '', leaseTransitions: 0 });
    }),
  );

  test.concurrent(
    'R26: a release that fails is tried again',
    waiting(async ({ proxy, candidate, throughProxy, lease }) => {
      const a = candidate('a', { leaseDurationMs: 60_000, renewDeadlineMs: 20_000, kubeconfig: throughProxy() });
      await a.next('acquired');
      // a renewal may meet one of them
      const update = { verb: 'update', resource: 'leases' } as const;
      const failures = proxy.inject({ ...update, fault: { kind: 'answer', status: 503 }, times: 3 });
      a.tell('stop');
      await a.next('stopped');
      expect(failures.hits).toBe(3);
      expect((await lease()).spec).toMatchObject({ holderIdentity: '', leaseTransitions: 0 });
    }),
  );

  test.concurrent(
    'kill -9: the other takes over once the lease has expired, not before',
    waiting(async ({ candidate }) => {
      const a = candidate('a');
      await a.next('acquired');
      const b = candidate('b');
      await b.next('ready');
      await a.kill();
      const killedMs = processMs();
      const { atMs, transitions } = await b.next('acquired');
      expect(transitions).toBe(1);
      // a's last renewal is at most a renew deadline older than its end
      expect(atMs - killedMs).toBeGreaterThan(TIMES.leaseDurationMs - TIMES.renewDeadlineMs);
    }),
  );

  test.concurrent(
    'R27: a holder that was stopped and goes on refuses the very first write, and is a candidate again',
    waiting(async ({ candidate, wrote }) => {
      const a = candidate('a');
      await a.next('acquired');
      a.tell('write:before');
      await a.next('wrote');
      const b = candidate('b');
      await b.next('ready');
      a.signal('SIGSTOP');
      // waits in a's standard input: the first thing that a sees when it goes on
      a.tell('write:after');
      await b.next('acquired');
      a.signal('SIGCONT');
      expect(await a.next('refused')).toMatchObject({ value: 'after', error: 'NotLeaderError' });
      await a.next('lost');
      expect((await wrote())?.['a']).toBe('before');
      await b.kill();
      // the same process, with one term more
      expect(await a.next('acquired')).toMatchObject({ number: 2, transitions: 2 });
      a.tell('write:again');
      await a.next('wrote');
    }),
  );

  test.concurrent(
    'R28: a blocked main loop keeps its lease for as long as it may',
    waiting(async ({ candidate }) => {
      const a = candidate('a', { loopLagMaxMs: 20_000 });
      await a.next('acquired');
      const b = candidate('b');
      await b.next('ready');
      a.tell('block:4500');
      expect(await a.next('unblocked')).toMatchObject({ mayWrite: true, isAborted: false });
      expect(b.heard.map(({ kind }) => kind)).toEqual(['ready']);
    }),
  );

  test.concurrent(
    'R28: a main loop that stands still for longer gives the lease up, and knows it in the turn in which it goes on',
    waiting(async ({ candidate }) => {
      const a = candidate('a', { leaseDurationMs: 60_000, renewDeadlineMs: 20_000, loopLagMaxMs: 1000 });
      await a.next('acquired');
      const b = candidate('b');
      await b.next('ready');
      a.tell('block:6000');
      const { atMs } = await b.next('acquired');
      const unblocked = await a.next('unblocked');
      expect(unblocked).toMatchObject({ mayWrite: false, isAborted: true });
      // it was released, while a's loop stood still
      expect(atMs).toBeLessThan(unblocked.atMs);
      expect((await a.next('lost')).reason).toContain('stood still');
    }),
  );

  test.concurrent(
    'R27: without the API server a leader stops before another may begin, and takes part again when it is back',
    waiting(async ({ proxy, candidate, throughProxy }) => {
      const a = candidate('a', { kubeconfig: throughProxy() });
      await a.next('acquired');
      const b = candidate('b');
      await b.next('ready');
      await proxy.refuse();
      const lost = await a.next('lost');
      expect(lost.reason).toContain('renew');
      a.tell('write:x');
      await a.next('refused');
      const acquired = await b.next('acquired');
      expect(acquired.atMs).toBeGreaterThan(lost.atMs);
      await proxy.accept();
      await b.kill();
      expect(await a.next('acquired')).toMatchObject({ number: 2, transitions: 2 });
    }),
  );

  test.concurrent(
    'a leader outlives an API server that is away for less than the renew deadline',
    waiting(async ({ proxy, candidate, throughProxy, lease }) => {
      const a = candidate('a', { leaseDurationMs: 30_000, renewDeadlineMs: 20_000, kubeconfig: throughProxy() });
      await a.next('acquired');
      await proxy.refuse();
      const before = await lease();
      await proxy.accept();
      const renewals = proxy.count({ verb: 'update', resource: 'leases' });
      await proxy.arrived({ verb: 'update', resource: 'leases' }, renewals + 2);
      expect((await lease()).metadata.resourceVersion).not.toBe(before.metadata.resourceVersion);
      expect(a.heard.map(({ kind }) => kind)).toEqual(['ready', 'acquired']);
    }),
  );

  test.concurrent(
    'answers that are lost cost a leader nothing: 409 of its own writes, errors, silence',
    waiting(async ({ proxy, candidate, throughProxy, lease }) => {
      const a = candidate('a', { leaseDurationMs: 30_000, renewDeadlineMs: 20_000, kubeconfig: throughProxy() });
      await a.next('acquired');
      const update = { verb: 'update', resource: 'leases' } as const;
      const injections = [
        proxy.inject({ ...update, fault: { kind: 'lose-answer' }, times: 3, every: 2 }),
        proxy.inject({ ...update, fault: { kind: 'answer', status: 503 }, times: 2 }),
        proxy.inject({ ...update, fault: { kind: 'answer', status: 409 }, times: 2 }),
      ];
      const count = proxy.count(update);
      await proxy.arrived(update, count + 12);
      expect(injections.map(({ hits }) => hits)).toEqual([3, 2, 2]);
      expect(a.heard.map(({ kind }) => kind)).toEqual(['ready', 'acquired']);
      expect((await lease()).spec).toMatchObject({ holderIdentity: 'a', leaseTransitions: 0 });
    }),
  );

  test.concurrent(
    'a lease that somebody else has taken ends the term at the next renewal',
    waiting(async ({ name, candidate, lease }) => {
      const { client } = await shared();
      const a = candidate('a');
      await a.next('acquired');
      const there = await lease();
      await client.patchJson(
        LEASES,
        'default',
        name,
        [{ op: 'replace', path: '/spec/holderIdentity', value: 'thief' }],
        { fieldManager: 'test' },
      );
      expect((await a.next('lost')).reason).toContain('thief');
      expect((await lease()).spec?.holderIdentity).toBe('thief');
      expect(there.spec?.holderIdentity).toBe('a');
    }),
  );

  test.concurrent(
    'a lease that somebody deleted is made again by its leader',
    waiting(async ({ name, candidate, lease }) => {
      const { client } = await shared();
      const a = candidate('a');
      await a.next('acquired');
      const before = await lease();
      await client.delete(LEASES, 'default', name);
      let after: Lease | undefined;
      while (after === undefined) after = await lease().catch(() => undefined);
      expect(after.metadata.uid).not.toBe(before.metadata.uid);
      expect(after.spec?.holderIdentity).toBe('a');
      a.tell('write:x');
      await a.next('wrote');
    }),
  );

  for (const [what, skewMs] of [
    ['an hour behind', -3_600_000],
    ['an hour ahead', 3_600_000],
  ] as const)
    test.concurrent(
      `R25: a holder whose clock is ${what} keeps the lease while it renews, and loses it when it does not`,
      waiting(async ({ name, candidate }) => {
        const { client } = await shared();
        const spec = (turn: number) => ({
          holderIdentity: 'skewed',
          leaseDurationSeconds: 3,
          leaseTransitions: 7,
          acquireTime: microTime(new Date(Date.now() + skewMs)),
          renewTime: microTime(new Date(Date.now() + skewMs + turn)),
        });
        const metadata = { name, namespace: 'default' };
        let held: Lease = await client.create(LEASES, { metadata, spec: spec(0) }, { fieldManager: 'test' });
        const a = candidate('a');
        await a.next('ready');
        const endMs = processMs() + 1.3 * TIMES.leaseDurationMs;
        let turn = 0;
        let renewedMs = 0;
        while (processMs() < endMs) {
          renewedMs = processMs();
          held = await client.update(LEASES, { ...held, spec: spec(++turn) }, { fieldManager: 'test' });
          await new Promise((resolve) => setTimeout(resolve, 200));
        }
        expect(a.heard.map(({ kind }) => kind)).toEqual(['ready']);
        const { atMs, transitions } = await a.next('acquired');
        expect(transitions).toBe(8);
        expect(atMs - renewedMs).toBeGreaterThan(TIMES.leaseDurationMs);
      }),
    );

  test.concurrent(
    'work of a term that does not end makes the process end, before it can lead again',
    waiting(async ({ proxy, candidate, throughProxy }) => {
      const a = candidate('a', { kubeconfig: throughProxy(), endingMaxMs: 500 });
      await a.next('acquired');
      a.tell('hold ending');
      await proxy.refuse();
      await a.next('lost');
      expect((await a.next('stuck')).reason).toContain('did not end');
      await expect(a.next('acquired')).rejects.toThrow('it has ended');
    }),
  );

  test.concurrent(
    'in one process: metrics, who holds the lease, and a thread that comes again when it could not begin',
    waiting(async ({ name }) => {
      const { plane } = await shared();
      const metrics = createCountingMetrics();
      const file = join(plane.dir, 'comes-later.conf');
      const notes: LeaderNote[] = [];
      const acquired = Promise.withResolvers<LeaderTerm>();
      const failed = Promise.withResolvers<void>();
      const lost: string[] = [];
      const leader = startLeader({
        ...TIMES,
        namespace: 'default',
        name,
        identity: 'a',
        access: { kubeconfig: file },
        userAgent: 'test',
        metrics,
        onAcquired: acquired.resolve,
        onLost: (reason) => void lost.push(reason),
        onStuck: (reason) => acquired.reject(new Error(reason)),
        onNote(note) {
          notes.push(note);
          if (note.kind === 'failed') failed.resolve();
        },
      });
      const status = (): number | undefined => metrics.value('leader_election_master_status', { name });
      await failed.promise;
      expect([leader.isTakingPart, leader.mayWrite(), leader.term, status()]).toEqual([false, false, undefined, 0]);
      copyFileSync(plane.kubeconfig, file);
      const term = await acquired.promise;
      expect([leader.isTakingPart, leader.mayWrite(), leader.holder, status()]).toEqual([true, true, 'a', 1]);
      expect(leader.term).toBe(term);
      expect(metrics.value('sluice_event_loop_lag_seconds')).toBeDefined();
      const stopped = leader.stop();
      // in the same turn
      expect([leader.mayWrite(), term.mayWrite(), term.signal.aborted, status()]).toEqual([false, false, true, 0]);
      await stopped;
      expect(lost).toEqual(['stopping']);
      expect(metrics.value('sluice_leader_transitions_total')).toBe(2);
      expect(notes.filter(({ kind }) => kind === 'observed').at(-1)).toEqual({ kind: 'observed', holder: '' });
    }),
  );

  test.each([
    { leaseDurationMs: 1500 },
    { renewDeadlineMs: 15_000 },
    { retryPeriodMs: 5000 },
    { retryPeriodMs: 0 },
    { leaseDurationMs: 500, renewDeadlineMs: 200, retryPeriodMs: 20 },
  ])('times that make no lease are refused: %p', (times) => {
    const nothing = (): void => undefined;
    const settings = { namespace: 'x', name: 'x', identity: 'x', userAgent: 'x' };
    const callbacks = { onAcquired: nothing, onLost: nothing, onStuck: nothing };
    expect(() => startLeader({ ...settings, ...callbacks, ...times })).toThrow(RangeError);
  });

  test(
    'three candidates, killed, stopped and cut off at random: never two at a time, never the same term twice',
    () =>
      withElection(async ({ proxy, candidate, throughProxy }) => {
        const seed = Date.now() % 1_000_000;
        process.stderr.write(`leaders under fire: seed ${seed}\n`);
        let state = seed;
        const random = (below: number): number => {
          state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
          return Math.floor((state / 2_147_483_648) * below);
        };
        const times = { leaseDurationMs: 1000, renewDeadlineMs: 700, retryPeriodMs: 100, sampleMs: 20 };
        const all: Candidate[] = [];
        const start = (slot: number): Candidate => {
          const settings = slot === 0 ? { kubeconfig: throughProxy() } : {};
          const started = candidate(`c${slot}-${all.length}`, { ...times, ...settings });
          all.push(started);
          return started;
        };
        const slots = [0, 1, 2].map(start);
        await Promise.all(slots.map((one) => one.next('ready')));
        const terms = (): number =>
          new Set(all.flatMap(({ heard }) => heard.flatMap((said) => (said.kind === 'leads' ? said.transitions : []))))
            .size;
        for (let round = 0; round < 15 || terms() < 4; round++) {
          const slot = random(3);
          const one = slots[slot];
          if (one === undefined) continue;
          const ms = 200 + random(1500);
          switch (random(4)) {
            case 0:
              await one.kill();
              slots[slot] = start(slot);
              break;
            case 1:
              one.signal('SIGSTOP');
              await new Promise((resolve) => setTimeout(resolve, ms));
              one.signal('SIGCONT');
              break;
            case 2:
              await proxy.refuse();
              await new Promise((resolve) => setTimeout(resolve, ms));
              await proxy.accept();
              break;
            default:
              one.tell(`block:${ms}`);
              await new Promise((resolve) => setTimeout(resolve, ms));
          }
        }
        const samples = all
          .flatMap(({ identity, heard }) =>
            heard.flatMap((said) => (said.kind === 'leads' ? [{ ...said, identity }] : [])),
          )
          .toSorted((one, other) => one.sampledMs - other.sampledMs);
        const holders = new Map<number, string>();
        let last = -1;
        for (const { transitions, identity } of samples) {
          expect(transitions).toBeGreaterThanOrEqual(last);
          last = transitions;
          expect(holders.get(transitions) ?? identity).toBe(identity);
          holders.set(transitions, identity);
        }
        process.stderr.write(`leaders under fire: ${holders.size} terms, ${samples.length} samples\n`);
        expect(holders.size).toBeGreaterThan(3);
      }),
    180_000,
  );
});
