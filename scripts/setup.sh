#!/bin/sh
# Brings what this checkout needs: npm packages with Node.js 24 among them, and as root the Debian packages that compile
# the probe (with `test`: also those that the tests drive). Does nothing where all is there. Without root it prints the
# one line to run and goes on: everything but live capture works without the probe.
set -eu
cd "$(dirname "$0")/.."

probe_packages="clang llvm libbpf-dev libelf-dev zlib1g-dev gcc make libc6-dev"
test_packages="nginx-light wrk openssl lua5.1 lua-yaml"
# what real Kubernetes nodes are made of
node_packages="containernetworking-plugins busybox-static socat iptables nftables iproute2 kmod curl"
want=$probe_packages
if [ "${1:-}" = test ]; then
  want="$probe_packages $test_packages $node_packages"
  # Docker brings its own of these, and Debian's would replace it
  command -v containerd >/dev/null || want="$want containerd"
  command -v runc >/dev/null || want="$want runc"
fi

command -v npm >/dev/null || { echo "setup: npm is missing; install it (Debian, Ubuntu: apt-get install npm)" >&2; exit 1; }

if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  echo "NPM   node_modules"
  # npm's engine warnings speak of the host's Node; what runs is the Node 24 among the packages
  log=$(mktemp)
  npm ci --no-audit --no-fund --loglevel=error >"$log" 2>&1 || { cat "$log" >&2; rm -f "$log"; exit 1; }
  rm -f "$log"
  touch node_modules/.package-lock.json
fi

if command -v dpkg-query >/dev/null; then
  missing=
  for package in $want; do
    dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
  done
  if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ]; then
      echo "APT  $missing"
      log=$(mktemp)
      export DEBIAN_FRONTEND=noninteractive
      # the tests start their own nginx and containerd; no package's service is to run because of us
      policy=/usr/sbin/policy-rc.d
      if [ -e $policy ]; then policy=; else printf '#!/bin/sh\nexit 101\n' >$policy; chmod 755 $policy; fi
      trap '[ -z "$policy" ] || rm -f "$policy"' EXIT
      # shellcheck disable=SC2086
      { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1 ||
        { tail -n 20 "$log" >&2; echo "setup: installing$missing failed (above); going on without" >&2; }
      rm -f "$log"
      [ -z "$policy" ] || rm -f $policy
      trap - EXIT
    else
      echo "setup: live capture needs packages that only root can install:" >&2
      echo "  sudo apt-get install -y --no-install-recommends$missing" >&2
    fi
  fi
fi

if command -v clang >/dev/null && [ -e /usr/include/bpf/libbpf.h ]; then
  make --no-print-directory -C probe || echo "setup: the probe does not build here (above); live capture is off" >&2
else
  echo "setup: clang or libbpf-dev is missing, so there is no probe; live capture is off" >&2
fi

# Real servers, from source, once per machine: minutes the first time (a line for each says how many). Their tests say that they
# are skipped where there is no Go, and fail where one does not build.
server() { test/servers/build.sh "$@" >/dev/null || echo "setup: $1 does not build here (above)" >&2; }
if [ "${1:-}" = test ] && command -v go >/dev/null; then
  server otelcol
  server etcd
  server kubernetes kube-apiserver kubectl kube-controller-manager kube-scheduler
  # real nodes need root
  if [ "$(id -u)" = 0 ]; then
    server kubernetes kubelet kube-proxy
    server coredns
    server kwok
  fi
fi
