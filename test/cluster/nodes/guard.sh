#!/usr/bin/env bash
# guard.sh PID START_TICKS SECONDS DIR ID: waits until the test process PID has gone (or SECONDS have passed, whatever it
# does), then ends the cluster ID and removes its folder. A test run that is killed leaves no containers behind.
set -u
pid=$1 ticks=$2 seconds=$3 dir=$4 id=$5
end=$((SECONDS + seconds))
while [ $SECONDS -lt "$end" ]; do
  [ -d "$dir" ] || exit 0
  # field 22, counted behind the program's name, which may hold blanks
  now=$(sed -e 's/^.*) //' "/proc/$pid/stat" 2>/dev/null | cut -d' ' -f20)
  [ "$now" = "$ticks" ] || break
  sleep 1
done
"$(dirname "$0")/down.sh" "$id"
# and what ran outside its namespaces, if it still is the process that it was
sed -n 's/.*"pid":\([0-9]*\),"startTicks":"\([0-9]*\)".*/\1 \2/p' "$dir/processes" 2>/dev/null | while read -r p t; do
  [ "$(sed -e 's/^.*) //' "/proc/$p/stat" 2>/dev/null | cut -d' ' -f20)" != "$t" ] || [ "$p" = $$ ] || kill -KILL "$p" 2>/dev/null
done
rm -rf --one-file-system "$dir"
