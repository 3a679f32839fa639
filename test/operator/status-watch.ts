// Every status of an ExportScript that was ever written, as a watch brings them: none may take back what an earlier one said.
import { EXPORT_SCRIPTS } from '../../src/cli/operator/kinds.ts';
import type { KubeClient, ResourceType } from '../../src/kube/types.ts';
import type { ScriptObject } from './objects.ts';

export interface StatusWatch {
  /** Where a newer status says less than an older one of the same object: a line for each. */
  wentBack(): string[];
  readonly seen: number;
  stop(): void;
}

const TYPE = EXPORT_SCRIPTS as ResourceType<ScriptObject>;

export function watchStatuses(client: Pick<KubeClient, 'list' | 'watch'>): StatusWatch {
  const last = new Map<string, ScriptObject>();
  const faults: string[] = [];
  const ending = new AbortController();
  let seen = 0;

  function note(object: ScriptObject): void {
    const key = object.metadata.uid ?? '';
    const [before, after] = [last.get(key)?.status, object.status];
    last.set(key, object);
    seen += 1;
    if (before === undefined || after?.totals === undefined || before.totals === undefined) return;
    const fell: string[] = [];
    if ((before.deliveredUntil ?? '') > (after.deliveredUntil ?? '')) fell.push('deliveredUntil');
    if ((before.lastWindow?.end ?? '') > (after.lastWindow?.end ?? '')) fell.push('lastWindow.end');
    if (before.observedGeneration > after.observedGeneration) fell.push('observedGeneration');
    // S17
    for (const [key, count] of Object.entries(before.totals))
      if (count > (Reflect.get(after.totals, key) as number)) fell.push(`totals.${key}`);
    if (fell.length > 0)
      faults.push(`${object.metadata.name}: ${fell.join(', ')}: ${JSON.stringify(before)} -> ${JSON.stringify(after)}`);
  }

  async function follow(): Promise<void> {
    const { items, resourceVersion } = await client.list<ScriptObject>(TYPE, {});
    for (const item of items) note(item);
    let version = resourceVersion;
    while (!ending.signal.aborted) {
      const options = { resourceVersion: version, timeoutSeconds: 300, signal: ending.signal };
      for await (const event of client.watch<ScriptObject>(TYPE, options)) {
        if (event.type === 'BOOKMARK') version = event.resourceVersion;
        else {
          version = event.object.metadata.resourceVersion ?? version;
          if (event.type !== 'DELETED') note(event.object);
        }
      }
    }
  }
  follow().catch((error: unknown) => {
    if (!ending.signal.aborted) faults.push(`the watch itself ended: ${String(error)}`);
  });

  return {
    wentBack: () => faults,
    get seen() {
      return seen;
    },
    stop: () => ending.abort(),
  };
}
