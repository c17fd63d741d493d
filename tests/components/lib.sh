# Sourced by the scripts beside it, which start a real server on 127.0.0.1 for `fixtures/capture.py`.
# A server keeps everything in the folder it is given: configuration, logs, a pid file. Packages are
# never installed here; a missing program is named and that is all.
set -euo pipefail
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin

die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# want PROGRAM PACKAGE
want() { command -v "$1" >/dev/null 2>&1 || die "$1 is missing; it is in Debian's package $2"; }

# answers PORT: something accepts connections there
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# await_port PORT LOG: until the server accepts connections, 20 s at most
await_port() {
    local tries
    for tries in $(seq 200); do
        answers "$1" && return 0
        read -r -t 0.1 <> <(:) || true
    done
    tail -5 "$2" >&2 || true
    die "nothing answers on port $1"
}

# format PARSER KEY: the server's own format string as a shipped parser file has it
format() {
    sed -n "s/^$2 *= *'\(.*\)'\$/\1/p" "$(dirname "$0")/../../parsers/$1.toml" | head -n 1
}
