// Secrets and ConfigMaps that plugins and scripts name: each is followed by a watch of its own, by name, as long as
// somebody names it. Whoever names one is told when its values change, so a rotated secret needs no restart (X8).
import type { KeyValuesFound } from './otelplugin/resolve.ts';

export type ReferenceKind = 'Secret' | 'ConfigMap';

export interface FollowedObject {
  current(): KeyValuesFound;
  stop(): void;
}

/** Starts following one object; `onChange` after each change of what `current` answers. */
export type Follow = (kind: ReferenceKind, namespace: string, name: string, onChange: () => void) => FollowedObject;

export interface References {
  /**
   * The objects of `namespace` that `user` names from now on; those that it does not name any more are let go.
   * `user` is told by `onChange` when one of them changes.
   */
  use(
    user: string,
    namespace: string,
    names: { readonly secrets: readonly string[]; readonly configMaps: readonly string[] },
  ): (kind: ReferenceKind, name: string) => KeyValuesFound;
  /** `user` is gone. */
  release(user: string): void;
  readonly size: number;
  stop(): void;
}

interface Entry {
  readonly object: FollowedObject;
  readonly users: Set<string>;
}

const keyOf = (kind: ReferenceKind, namespace: string, name: string): string => `${kind}/${namespace}/${name}`;

export function createReferences(follow: Follow, onChange: (user: string) => void): References {
  const entries = new Map<string, Entry>();
  const uses = new Map<string, ReadonlySet<string>>();

  function letGo(user: string, kept: ReadonlySet<string>): void {
    for (const key of uses.get(user) ?? []) {
      if (kept.has(key)) continue;
      const entry = entries.get(key);
      entry?.users.delete(user);
      if (entry?.users.size !== 0) continue;
      entries.delete(key);
      entry.object.stop();
    }
  }

  function hold(user: string, kind: ReferenceKind, namespace: string, name: string): void {
    const key = keyOf(kind, namespace, name);
    const known = entries.get(key);
    if (known !== undefined) {
      known.users.add(user);
      return;
    }
    const users = new Set([user]);
    const object = follow(kind, namespace, name, () => {
      for (const one of users) onChange(one);
    });
    entries.set(key, { object, users });
  }

  return {
    use(user, namespace, { secrets, configMaps }) {
      const wanted: ReadonlySet<string> = new Set([
        ...secrets.map((name) => keyOf('Secret', namespace, name)),
        ...configMaps.map((name) => keyOf('ConfigMap', namespace, name)),
      ]);
      letGo(user, wanted);
      for (const name of secrets) hold(user, 'Secret', namespace, name);
      for (const name of configMaps) hold(user, 'ConfigMap', namespace, name);
      // nearly all scripts name nothing
      if (wanted.size === 0) uses.delete(user);
      else uses.set(user, wanted);
      return (kind, name) => entries.get(keyOf(kind, namespace, name))?.object.current() ?? 'absent';
    },
    release(user) {
      letGo(user, new Set());
      uses.delete(user);
    },
    get size() {
      return entries.size;
    },
    stop() {
      for (const { object } of entries.values()) object.stop();
      entries.clear();
      uses.clear();
    },
  };
}
