#!/usr/bin/env bash
# build.sh NAME [PROGRAM…]: builds programs of the Go module test/servers/NAME, each once, into
# .cache/servers/NAME-<hash of the module>/ and prints their paths, one a line. Without PROGRAM it is the one called NAME.
# Parallel callers wait for one build. Exit status 3: there is no Go on this machine.
#   otelcol · etcd · coredns · kwok (beside it: kwok-stages.yaml)
#   kubernetes kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl
set -euo pipefail

name=${1:?usage: build.sh NAME [PROGRAM…] (NAME: a folder beside this script)}
shift
[ $# -gt 0 ] || set -- "$name"
here=$(cd "$(dirname "$0")" && pwd)
source=$here/$name
[ -f "$source/go.mod" ] || { echo "build.sh: no server named $name in test/servers" >&2; exit 2; }

key=$(cd "$source" && find . -maxdepth 1 \( -name 'go.*' -o -name '*.go' \) | LC_ALL=C sort | xargs cat | sha256sum | cut -c1-16)
cache=${SLUICE_SERVERS:-$(cd "$here/../.." && pwd)/.cache/servers}
folder=$cache/$name-$key

# what a program is made of, and what is stamped into it; `.` is the module's own main.go
flags='-s -w'
package_of() {
  case $name/$1 in
    kubernetes/*) echo "k8s.io/kubernetes/cmd/$1" ;;
    etcd/etcd) echo go.etcd.io/etcd/server/v3 ;;
    kwok/kwok) echo sigs.k8s.io/kwok/cmd/kwok ;;
    "$name/$name") echo . ;;
    *) echo "build.sh: $name has no program $1" >&2; exit 2 ;;
  esac
}
# Kubernetes is told its version by the linker, and clients and the API server compare theirs
if [ "$name" = kubernetes ]; then
  version=$(awk '$1 == "k8s.io/kubernetes" { print $2; exit }' "$source/go.mod")
  minor=${version#v1.}
  prefix=k8s.io/component-base/version
  flags="$flags -X $prefix.gitVersion=$version -X $prefix.gitMajor=1 -X $prefix.gitMinor=${minor%%.*} -X $prefix.gitTreeState=clean"
fi
# kwok does nothing without stages, which are files of its module
after_kwok() {
  local stages file
  stages=$(cd "$source" && go list -m -f '{{.Dir}}' sigs.k8s.io/kwok)/kustomize/stage
  for file in "$stages"/node/fast/*.yaml "$stages"/node/heartbeat-with-lease/*.yaml "$stages"/pod/fast/*.yaml; do
    case $file in */kustomization.yaml) ;; *) echo ---; cat "$file" ;; esac
  done >"$folder/kwok-stages.yaml"
}

for program; do
  package=$(package_of "$program")
  binary=$folder/$program
  if [ ! -x "$binary" ]; then
    command -v go >/dev/null || { echo "build.sh: $name needs Go (https://go.dev/dl) to be built from source" >&2; exit 3; }
    mkdir -p "$folder"
    exec 9>"$folder/.lock"
    flock 9
    if [ ! -x "$binary" ]; then
      start=$SECONDS
      echo "GO    $program (from source, once; seconds to minutes)" >&2
      (cd "$source" && CGO_ENABLED=0 go build -ldflags "$flags" -o "$binary.part" "$package" >&2)
      [ "$program" != kwok ] || after_kwok
      mv "$binary.part" "$binary"
      echo "GO    $program took $((SECONDS - start)) s" >&2
    fi
    exec 9>&-
  fi
  echo "$binary"
done
