#!/usr/bin/env bash
# build.sh NAME: builds the Go program of test/servers/NAME once into .cache/servers/NAME-<hash of its sources>/ and prints
# the path of the binary. Parallel callers wait for one build. Exit status 3: there is no Go on this machine.
set -euo pipefail

name=${1:?usage: build.sh NAME (a folder beside this script)}
here=$(cd "$(dirname "$0")" && pwd)
source=$here/$name
[ -f "$source/go.mod" ] || { echo "build.sh: no server named $name in test/servers" >&2; exit 2; }

key=$(cd "$source" && cat go.mod go.sum ./*.go 2>/dev/null | sha256sum | cut -c1-16)
cache=$(cd "$here/../.." && pwd)/.cache/servers
folder=$cache/$name-$key
binary=$folder/$name
if [ ! -x "$binary" ]; then
  command -v go >/dev/null || { echo "build.sh: $name needs Go (https://go.dev/dl) to be built from source" >&2; exit 3; }
  mkdir -p "$folder"
  exec 9>"$folder/.lock"
  flock 9
  if [ ! -x "$binary" ]; then
    echo "build.sh: building $name, this takes one to three minutes, once" >&2
    (cd "$source" && CGO_ENABLED=0 go build -ldflags '-s -w' -o "$binary.part" . >&2)
    mv "$binary.part" "$binary"
  fi
fi
echo "$binary"
