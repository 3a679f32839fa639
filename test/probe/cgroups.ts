// Cgroups that a test makes, in the unified hierarchy or another, and takes away again.
import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface CgroupTree {
  /** Makes `path` and all above it; its directory. */
  make(path: string): string;
  /** Moves a process. `path` '' is the hierarchy's root. */
  move(pid: number, path: string): void;
  /** Removes all that was made; whoever is still in there goes to the root. */
  remove(): void;
}

/** Where a hierarchy is mounted: that of a v1 controller, or the unified one (''). */
export function mountOf(controller = ''): string | undefined {
  for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n')) {
    const [, path = '', type, options = ''] = line.split(' ');
    if (type === 'cgroup2' && controller === '') return path;
    if (type === 'cgroup' && controller !== '' && options.split(',').includes(controller)) return path;
  }
  return undefined;
}

/** A tree of the name `name` below the root of a mounted hierarchy. */
export function cgroupTree(mount: string, name: string): CgroupTree {
  const root = join(mount, name);
  const removeBelow = (folder: string): void => {
    for (const entry of readdirSync(folder)) {
      const path = join(folder, entry);
      if (statSync(path).isDirectory()) removeBelow(path);
    }
    for (const pid of readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n'))
      if (pid !== '') writeFileSync(join(mount, 'cgroup.procs'), pid);
    rmdirSync(folder);
  };
  return {
    make(path) {
      mkdirSync(join(root, path), { recursive: true });
      return join(root, path);
    },
    move: (pid, path) => writeFileSync(join(path === '' ? mount : join(root, path), 'cgroup.procs'), String(pid)),
    remove: () => (existsSync(root) ? removeBelow(root) : undefined),
  };
}
