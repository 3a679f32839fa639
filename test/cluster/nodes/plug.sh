#!/usr/bin/env bash
# plug.sh ID I: network namespace ID-nI of node I with a cable to the bridge of ID, routes to the other nodes' pods, and the
# node's own cgroup in every hierarchy (cgroup v1, v2 and both), where its kubelet puts the pods. Does nothing where all is there.
set -euo pipefail
id=$1 i=$2
node=n$i ns=$id-n$i

if [ ! -e "/run/netns/$ns" ]; then
  ip netns add "$ns"
  ip -n "$ns" link set lo up
  ip -n "$ns" link add eth0 type veth peer name "v$node" netns "$id"
  ip -n "$ns" addr add "10.200.0.$((10 + i))/24" dev eth0
  ip -n "$ns" link set eth0 up
  ip -n "$ns" route add default via 10.200.0.1
  ip -n "$id" link set "v$node" master br0 up
  ip -n "$id" route replace "10.244.$i.0/24" via "10.200.0.$((10 + i))"
  for j in 1 2 3 4 5 6 7 8 9; do
    [ "$j" = "$i" ] || ip -n "$ns" route add "10.244.$j.0/24" via "10.200.0.$((10 + j))"
  done
  # a pod that reaches a pod of its own node by a Service: the bridge's traffic must pass the address translation
  [ -d /proc/sys/net/bridge ] || modprobe br_netfilter 2>/dev/null || true
  nsenter --net="/run/netns/$ns" sh -c '
    echo 1 > /proc/sys/net/ipv4/ip_forward
    echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter
    [ ! -d /proc/sys/net/bridge ] || echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables'
fi

while read -r mount kind; do
  mkdir -p "$mount/$ns"
  if [ "$kind" = cgroup2 ]; then
    # on a pure v2 machine the controllers have to be handed down; on a hybrid one there are none here
    for controller in $(cat "$mount/cgroup.controllers"); do
      echo "+$controller" >"$mount/cgroup.subtree_control" 2>/dev/null || true
      echo "+$controller" >"$mount/$ns/cgroup.subtree_control" 2>/dev/null || true
    done
  elif [ -e "$mount/cpuset.cpus" ]; then
    # a v1 cpuset is empty when it is made, and nothing can run in it
    for file in cpuset.cpus cpuset.mems; do cat "$mount/$file" >"$mount/$ns/$file"; done
  fi
done < <(awk '$3 == "cgroup" || $3 == "cgroup2" { print $2, $3 }' /proc/mounts)
