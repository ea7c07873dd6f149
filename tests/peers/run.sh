#!/bin/sh
# AWS's Python clients against an endpoint: see README.md.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/setup.sh"

if [ $# -ne 1 ] && { [ $# -ne 2 ] || [ "$1" != --url ]; }; then
    echo "usage: run.sh BINARY | run.sh --url URL" >&2
    exit 2
fi

environment "$here/requirements.txt"

if [ "$1" = --url ]; then
    url=$2
else
    "$1" serve --local "$work/store" --listen 127.0.0.1:0 --bin volume=2 >"$work/stdout" 2>"$work/stderr" &
    server=$!
    url=
    tries=0
    while [ -z "$url" ]; do
        url=$(sed -n '1s/.*\(http:\/\/[0-9.:]*\).*/\1/p' "$work/stdout")
        tries=$((tries + 1))
        if [ $tries -gt 100 ] || ! kill -0 "$server" 2>/dev/null; then
            echo "the server did not say where it listens:" >&2
            cat "$work/stdout" "$work/stderr" >&2
            exit 1
        fi
        sleep 0.1
    done
fi

# Nothing of the machine's own AWS set-up is to be used.
for name in $(env | sed -n 's/^\(AWS_[A-Z_]*\)=.*/\1/p'); do
    unset "$name"
done
export AWS_ACCESS_KEY_ID=AKPEER AWS_SECRET_ACCESS_KEY=secret AWS_DEFAULT_REGION=us-east-1
export AWS_ENDPOINT_URL="$url" AWS_EC2_METADATA_DISABLED=true AWS_PAGER=
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null
export PATH="$venv/bin:$PATH" PYTHONDONTWRITEBYTECODE=1 HOME="$work"
"$venv/bin/python" "$here/kit.py" "$here"/test_*.py
