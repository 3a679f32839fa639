// What of a cluster is still on this machine.
import { spawnSync } from 'node:child_process';
import { basename } from 'node:path';

/** Lines, one per process, network namespace, cgroup, mount or folder that belongs to the instance in `dir`; none where all is gone. */
export function leftovers(dir: string): string[] {
  const script = `
    for p in /proc/[0-9]*; do
      # a zombie holds nothing; pid 1 will reap it
      grep -qs '^State:.Z' "$p/status" && continue
      [ "$p" != "/proc/$$" ] && tr '\\0' ' ' < "$p/cmdline" 2>/dev/null | grep -q "$1" && echo "process $p $(tr '\\0' ' ' < "$p/cmdline")"
      grep -qs "$1" "$p/cgroup" && echo "process in cgroup $p $(tr '\\0' ' ' < "$p/cmdline")"
      grep -qs "$1" "$p/mountinfo" && echo "mount of $p $(tr '\\0' ' ' < "$p/cmdline")"
    done
    ls -d /run/netns/"$1"* 2>/dev/null
    find /sys/fs/cgroup -name "$1*" 2>/dev/null
    ls -d "$2" 2>/dev/null
    true`;
  const { stdout } = spawnSync('/bin/sh', ['-c', script, 'leftovers', basename(dir), dir], { encoding: 'utf8' });
  // this search itself carries the name in its command line
  return stdout.split('\n').filter((line) => line !== '' && !line.includes(' leftovers ') && !line.includes('grep -q'));
}
