#!/usr/bin/env bash
# Restore drills of the three fixture volumes at once, against a local store, with evidence that is then verified.
#
#     benches/drill.sh path/to/icecore
#
# Makes its store with `icecore demo --keep`; all of it goes to a temporary directory.
set -euo pipefail
icecore=$(realpath "${1:?path of the program}")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export ICECORE_STATE="$dir/state" ICECORE_LOCAL="$dir/demo/store"
cd "$dir"

env -u ICECORE_LOCAL "$icecore" demo --keep "$dir/demo" --quiet >demo.text
snapshots=$(awk '$1 == "night" && $3 ~ /^snap-/ { print $3 }' demo.text)
"$icecore" evidence key key 2>/dev/null >/dev/null

echo "$(nproc) cores, $(echo "$snapshots" | wc -l) volumes of 1 GiB"
for at_once in 1 3; do
    start=$EPOCHREALTIME
    # shellcheck disable=SC2086
    "$icecore" drill $snapshots --at-once "$at_once" --rto 10m --evidence evidence --sign-key key --quiet >"drill$at_once.text"
    end=$EPOCHREALTIME
    awk -v s="$start" -v e="$end" -v n="$at_once" 'BEGIN { printf "%s at once: %.1f s\n", n, e - s }'
    head -1 "drill$at_once.text"
done
"$icecore" evidence verify evidence --public-key key.pub | head -1
"$icecore" cleanup
