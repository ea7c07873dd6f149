#!/bin/sh
# Our EC2 client against moto: see README.md.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/setup.sh"

environment "$here/moto-requirements.txt"

: >"$work/log"
"$venv/bin/moto_server" -H 127.0.0.1 -p 0 >"$work/log" 2>&1 &
server=$!
url=
tries=0
while [ -z "$url" ]; do
    url=$(sed -n 's/.*Running on \(http:\/\/127.0.0.1:[0-9]*\).*/\1/p' "$work/log")
    tries=$((tries + 1))
    if [ $tries -gt 200 ] || ! kill -0 "$server" 2>/dev/null; then
        echo "moto did not say where it listens:" >&2
        cat "$work/log" >&2
        exit 1
    fi
    sleep 0.1
done

"$venv/bin/python" "$here/moto_seed.py" "$url" >"$work/seed"
ICECORE_MOTO=$url ICECORE_MOTO_SEED=$work/seed cargo test --test it -- --exact moto::our_client_agrees_with_moto
