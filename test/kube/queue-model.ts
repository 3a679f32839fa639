// The work queue as a person would keep it with lists on paper. Shares no code and no idea of a data structure with it.
import type { FailureKind, Priority } from '../../src/kube/queue.ts';

interface Waiting {
  readonly key: string;
  priority: Priority;
}

interface Later {
  readonly key: string;
  readonly dueAt: number;
  readonly priority: Priority;
}

export class QueueModel {
  now = 0;
  /** In the order in which they are handed out within a priority. */
  waiting: Waiting[] = [];
  later: Later[] = [];
  readonly working = new Map<string, { held: Priority | undefined }>();
  readonly failed = new Map<string, { internal: number; external: number }>();
  closed = false;

  add(key: string, priority: Priority): void {
    if (this.closed) return;
    const working = this.working.get(key);
    if (working !== undefined) {
      if (working.held !== 'user') working.held = priority;
      return;
    }
    const known = this.waiting.find((one) => one.key === key);
    if (known === undefined) this.waiting.push({ key, priority });
    else if (known.priority === 'background' && priority === 'user') {
      this.waiting = this.waiting.filter((one) => one !== known);
      this.waiting.push({ key, priority });
    }
  }

  addAfter(key: string, ms: number, priority: Priority): void {
    if (this.closed) return;
    if (ms <= 0) {
      this.add(key, priority);
      return;
    }
    const dueAt = this.now + ms;
    const known = this.later.find((one) => one.key === key);
    if (known !== undefined && known.dueAt <= dueAt) return;
    this.later = this.later.filter((one) => one.key !== key);
    this.later.push({ key, dueAt, priority });
  }

  /** Returns the delay without jitter. */
  fail(key: string, kind: FailureKind): number {
    const counts = this.failed.get(key) ?? { internal: 0, external: 0 };
    this.failed.set(key, counts);
    counts[kind]++;
    let delay = kind === 'internal' ? 5 : 1000;
    for (let i = 1; i < counts[kind]; i++) delay = Math.min(delay * 2, kind === 'internal' ? 1_000_000 : 300_000);
    return delay;
  }

  take(): string | undefined {
    const next = this.waiting.find(({ priority }) => priority === 'user') ?? this.waiting[0];
    if (next === undefined) return undefined;
    this.waiting = this.waiting.filter((one) => one !== next);
    this.working.set(next.key, { held: undefined });
    return next.key;
  }

  done(key: string): void {
    const working = this.working.get(key);
    if (working === undefined) return;
    this.working.delete(key);
    if (working.held !== undefined) this.add(key, working.held);
  }

  advance(ms: number): void {
    this.now += ms;
    const due = this.later.filter(({ dueAt }) => dueAt <= this.now).sort((a, b) => a.dueAt - b.dueAt);
    this.later = this.later.filter(({ dueAt }) => dueAt > this.now);
    for (const { key, priority } of due) this.add(key, priority);
  }

  shutDown(): void {
    this.closed = true;
    this.waiting = [];
    this.later = [];
    this.failed.clear();
  }
}
