#!/usr/bin/env bash
# icecore against coldsnap 0.12.0, in one run on one machine: 4 GiB of random blocks in a local store, served by
# `icecore serve` in a process of its own. Claims at least twice coldsnap's speed and at most 0.6 of its CPU seconds
# without a sink, 1.4 times its speed to a file that is not made durable, and an import no slower than its upload.
#
#   cargo build --release --no-default-features
#   benches/coldsnap.sh target/release/icecore [DIR]
#
# DIR holds store and files, by default one under /tmp: 20 GiB. coldsnap is installed into ICECORE_BENCH_CACHE, by
# default below the user's cache directory, once: that takes 7 GB of memory and many minutes.
set -euo pipefail

icecore=$(realpath "$1")
dir=$(mktemp -d "${2:-/tmp}/icecore-bench.XXXXXX")
cache=${ICECORE_BENCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/icecore/coldsnap}
coldsnap=$cache/bin/coldsnap
turns=${TURNS:-3}
mib=${MIB:-4096}

[ -x "$coldsnap" ] || cargo install --locked --version 0.12.0 \
    --config profile.release.package.aws-sdk-ec2.opt-level=0 --root "$cache" coldsnap

server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$dir"' EXIT
export AWS_ACCESS_KEY_ID=AKBENCH AWS_SECRET_ACCESS_KEY=bench AWS_REGION=us-east-1
export AWS_EC2_METADATA_DISABLED=true AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null

"$icecore" serve --local "$dir/store" >"$dir/url" &
server=$!
while [ ! -s "$dir/url" ]; do sleep 0.1; done
url=$(awk '{ print $NF }' "$dir/url")

head -c "${mib}M" /dev/urandom >"$dir/in.img"
ours() { "$icecore" --endpoint-url "$url" --state-dir "$dir/state" --quiet "$@" >/dev/null; }
theirs() { "$coldsnap" --endpoint "$url" "$@" --no-progress >/dev/null; }
snapshot=$("$icecore" --endpoint-url "$url" --state-dir "$dir/state" --quiet --format json import --no-wait "$dir/in.img" |
    sed -nE 's/.*"snapshot_id": ?"([^"]+)".*/\1/p')

# Seconds and CPU seconds of a command, as a line of the file named first.
TIMEFORMAT='%R %U %S'
timed() {
    local name=$1
    shift
    { time "$@" 2>>"$dir/log"; } 2>>"$dir/$name.times" || { cat "$dir/log" >&2; exit 1; }
}
column() { awk -v n="$2" '{ print n == 1 ? $1 : $2 + $3 }' "$dir/$1.times" | sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 2) / 2)] }'; }

cp "$dir/in.img" /dev/null # Both read it from memory.
for _ in $(seq "$turns"); do
    timed null ours export "$snapshot" --to-null
    timed coldsnap theirs download "$snapshot" "$dir/theirs.img" --force
    rm -f "$dir/theirs.img"
    timed no-sync ours export "$snapshot" "$dir/ours.img" --no-sync
    rm -f "$dir/ours.img"
    timed durable ours export "$snapshot" "$dir/ours.img"
    rm -f "$dir/ours.img"
done
timed import ours import --no-wait "$dir/in.img"
timed upload theirs upload "$dir/in.img"
timed import ours import --no-wait "$dir/in.img"
timed upload theirs upload "$dir/in.img"

printf '%-24s %8s %10s %14s %12s\n' "$mib MiB" seconds cpu-seconds 'x faster' 'x CPU'
for pair in null:coldsnap no-sync:coldsnap durable:coldsnap coldsnap:coldsnap import:upload upload:upload; do
    name=${pair%:*} against=${pair#*:}
    printf '%s %s %s %s %s\n' "$name" "$(column "$name" 1)" "$(column "$name" 2)" "$(column "$against" 1)" "$(column "$against" 2)" |
        awk '{ printf "%-24s %8.2f %10.2f %14.2f %12.2f\n", $1, $2, $3, $4 / $2, $3 / $5 }'
done
