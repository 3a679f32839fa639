#!/usr/bin/env bash
# down.sh ID [NODE]: a node as if its power had gone, or without NODE all that a cluster holds in the kernel: processes,
# network namespaces, cgroups. Mounts are in the nodes' own namespaces and go with their processes. Only what belongs to ID is
# touched: what runs in its network namespaces or in its nodes' cgroups. Exit status 1: something is left.
set -uo pipefail
id=$1
[ -n "$id" ] || exit 2
mounts=$(awk '$3 == "cgroup" || $3 == "cgroup2" { print $2 }' /proc/mounts)

in_namespace() { # pids whose network namespace is NAME
  local inode
  inode=$(stat -Lc %i "/run/netns/$1" 2>/dev/null) || return 0
  find /proc/[0-9]*/ns -name net -lname "net:\\[$inode\\]" 2>/dev/null | cut -d/ -f3
}
in_cgroups() { # pids in the cgroup NAME of any hierarchy
  local mount
  for mount in $mounts; do
    [ ! -d "$mount/$1" ] || find "$mount/$1" -name cgroup.procs -exec cat {} + 2>/dev/null
  done | sort -u
}
has_cgroups() {
  local mount
  for mount in $mounts; do [ ! -d "$mount/$1" ] || return 0; done
  return 1
}

end() { # NAME of a namespace and of cgroups
  local name=$1 round pids mount left=0
  # a process may be forking: look until there is none, 10 s at most
  for ((round = 0; round < 100; round++)); do
    pids=$(in_namespace "$name"; in_cgroups "$name")
    # zombies have left their namespaces, and their cgroup when they are reaped
    [ -n "$pids" ] || break
    # shellcheck disable=SC2086
    kill -KILL $pids 2>/dev/null
    sleep 0.1
  done
  [ ! -e "/run/netns/$name" ] || ip netns del "$name" || left=1
  for ((round = 0; round < 50; round++)); do
    for mount in $mounts; do
      [ ! -d "$mount/$name" ] || find "$mount/$name" -depth -type d -exec rmdir {} \; 2>/dev/null
    done
    has_cgroups "$name" || return $left
    sleep 0.1
  done
  echo "down.sh: cgroups of $name are left" >&2
  return 1
}

if [ $# -gt 1 ]; then
  end "$id-$2"
  exit
fi
status=0
for node in 1 2 3 4 5 6 7 8 9; do
  if [ -e "/run/netns/$id-n$node" ] || has_cgroups "$id-n$node"; then end "$id-n$node" || status=1; fi
done
[ ! -e "/run/netns/$id" ] || end "$id" || status=1
exit $status
