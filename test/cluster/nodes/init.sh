#!/usr/bin/env bash
# init.sh DIR NODE: what runs first inside a node's network, mount and UTS namespaces: mounts what a machine has at its
# standard places, then containerd, kubelet and kube-proxy. Everything mounted here goes away with the namespace.
# Programs come from $PATH; configuration was written to DIR/NODE by the test.
set -euo pipefail
dir=$1 node=$2
home=$dir/$node
hostname "$node"
mount --make-rshared /
for pair in run-containerd:/run/containerd lib-containerd:/var/lib/containerd lib-kubelet:/var/lib/kubelet var-log:/var/log; do
  mkdir -p "$home/${pair%%:*}" "${pair#*:}"
  mount --bind "$home/${pair%%:*}" "${pair#*:}"
done
mkdir -p /var/log/pods /var/log/containers /run/netns
mount -t tmpfs tmpfs /run/netns
mount --make-shared /run/netns
mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf || true
mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing || true

# each dies with this script
run() { setpriv --pdeathsig KILL -- "$@" & }
run containerd --config "$home/containerd.toml" >"$dir/log/$node-containerd.log" 2>&1
until ctr version >/dev/null 2>&1; do sleep 0.05; done
run kubelet --config "$home/kubelet.json" --kubeconfig "$home/kubelet.conf" --hostname-override "$node" \
  --node-ip "$(cat "$home/address")" --root-dir /var/lib/kubelet --cert-dir "$home" --v=2 >"$dir/log/$node-kubelet.log" 2>&1
run kube-proxy --config "$home/proxy.json" >"$dir/log/$node-proxy.log" 2>&1
# without one of them it is no node; whoever waits for it sees that it has ended
wait -n
