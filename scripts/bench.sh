#!/bin/sh
# Runs every benchmark, or those that are named: scripts/bench.sh engine capture
set -eu
cd "$(dirname "$0")/.."
all=$(ls bench/*.ts | sed 's|bench/||; s|\.ts$||' | grep -v -- '-agent$')
for name in ${*:-$all}; do
  echo "== $name"
  node --disable-warning=ExperimentalWarning --expose-gc "bench/$name.ts"
done
