#!/usr/bin/env bash
# network.sh ID: the network namespace of a cluster's control plane, with the bridge that its nodes are plugged into. There
# is no way out of it, so nothing of a test reaches any other network. The same addresses in every instance are fine.
set -euo pipefail
id=$1
ip netns add "$id"
in=(ip -n "$id")
"${in[@]}" link set lo up
"${in[@]}" link add br0 type bridge
"${in[@]}" addr add 10.200.0.1/24 dev br0
"${in[@]}" link set br0 up
# `ip netns exec` would mount another /sys and hide the cgroups: nsenter everywhere
nsenter --net="/run/netns/$id" sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
