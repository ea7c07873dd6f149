# Sourced by the scripts beside it, with $here set: a directory to work in, an environment of Python with what is
# pinned, and the end of whatever server they start.

work=$(mktemp -d)
server=
cleanup() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# Sets $venv. The cache is named after what is installed: other pins make another environment.
environment() {
    venv=${ICECORE_PEERS_CACHE:-$work}/venv-$(cksum <"$1" | cut -d ' ' -f 1)
    if [ ! -e "$venv/ready" ]; then
        rm -rf "$venv"
        python3 -m venv "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$1" >&2
        touch "$venv/ready"
    fi
}
