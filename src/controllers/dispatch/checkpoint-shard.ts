// One checkpoint ConfigMap: read live, written whole with the resourceVersion that it was read or written with, so that of
// two leaders one meets a conflict (operator.md S10). Whose conflict it is, the epoch in it says.
import type { ConfigMap } from '../../kube/resources.ts';
import { isConflict, isNotFound, type KubeClient, type ResourceType } from '../../kube/types.ts';
import type { TimeNs } from '../../model/time.ts';
import type { RuntimesNote } from './contract.ts';
import { formatShard, parseShard, type CheckpointEntry, type ShardContent } from './checkpoint-format.ts';

export const CONFIG_MAPS: ResourceType<ConfigMap> = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};
const FIELD_MANAGER = 'sluice-checkpoint';

/** Another leader has written: whoever gets this leads no more. */
export class Superseded extends Error {
  override readonly name = 'Superseded';
}

export interface ShardOptions {
  readonly kube: KubeClient;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly now: () => TimeNs;
  /** What in it could not be read. */
  readonly onCorrupt: (what: string) => void;
}

export interface Shard {
  /** Live, never from a cache. Content of what is not there is empty. */
  read(signal: AbortSignal): Promise<ShardContent>;
  /**
   * Replaces its content. `merge` is asked where a leader before us has written since we read: what of it is to be kept.
   * @throws Superseded where one after us has.
   */
  write(next: ShardWrite, signal: AbortSignal): Promise<void>;
}

export interface ShardWrite {
  readonly epoch: number;
  readonly writer: string;
  readonly runtimes: () => RuntimesNote | undefined;
  readonly entries: () => ReadonlyMap<string, CheckpointEntry>;
  readonly merge: (found: ShardContent) => void;
}

/** An answer that was lost and a hand that edited may each cost a round; more is somebody who fights us. */
const ROUNDS_MAX = 5;

export function createShard({ kube, namespace, name, labels, now, onCorrupt }: ShardOptions): Shard {
  let known: ConfigMap | undefined;
  let others: Readonly<Record<string, string>> = {};

  async function read(signal: AbortSignal): Promise<ShardContent> {
    known = await kube.get(CONFIG_MAPS, namespace, name, { signal }).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    const content = parseShard(known?.data ?? {}, now());
    ({ others } = content);
    for (const fault of content.faults) onCorrupt(`checkpoint ${name}: ${fault}`);
    return content;
  }

  function put(data: Record<string, string>, signal: AbortSignal): Promise<ConfigMap> {
    const metadata = { ...known?.metadata, name, namespace, labels: { ...known?.metadata.labels, ...labels } };
    const object: ConfigMap = { ...known, apiVersion: 'v1', kind: 'ConfigMap', metadata, data };
    const options = { fieldManager: FIELD_MANAGER, signal };
    return known === undefined ? kube.create(CONFIG_MAPS, object, options) : kube.update(CONFIG_MAPS, object, options);
  }

  return {
    read,
    async write({ epoch, writer, runtimes, entries, merge }, signal) {
      for (let round = 1; ; round++) {
        try {
          known = await put(formatShard({ epoch, writer, runtimes: runtimes(), entries: entries(), others }), signal);
          return;
        } catch (error) {
          if ((!isConflict(error) && !isNotFound(error)) || round === ROUNDS_MAX) throw error;
          const found = await read(signal);
          if (found.epoch > epoch || (found.epoch === epoch && found.writer !== writer)) {
            throw new Superseded(`checkpoint ${name} was written in epoch ${found.epoch} by ${found.writer}`, {
              cause: error,
            });
          }
          // our own write whose answer was lost, a hand's, or the last words of the leader before us
          if (found.epoch < epoch) merge(found);
        }
      }
    },
  };
}
