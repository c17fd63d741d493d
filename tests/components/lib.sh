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

# await_url URL LOG: until it answers with success, 60 s at most
await_url() {
    local tries
    for tries in $(seq 600); do
        curl -fsS -m 5 -o /dev/null "$1" 2>/dev/null && return 0
        read -r -t 0.1 <> <(:) || true
    done
    tail -5 "$2" >&2 || true
    die "$1 does not answer"
}

# running FOLDER NAME: what FOLDER/NAME.pid names is alive and ours, for a number may have gone to another
# process. Ours have their folder on the command line.
running() {
    local pid
    [ -s "$1/$2.pid" ] || return 1
    pid=$(cat "$1/$2.pid")
    tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF "$1/"
}

# launch FOLDER NAME COMMAND...: in the background, output to FOLDER/NAME.out, number to FOLDER/NAME.pid
launch() {
    local folder=$1 name=$2
    shift 2
    ! running "$folder" "$name" || die "$name already runs in $folder"
    setsid "$@" </dev/null >>"$folder/$name.out" 2>&1 &
    printf '%s\n' "$!" >"$folder/$name.pid"
}

# halt FOLDER NAME: TERM, and KILL after 10 s; a stopped process is continued, or it would not hear either
halt() {
    local pid tries
    if running "$1" "$2"; then
        pid=$(cat "$1/$2.pid")
        kill -TERM "$pid"
        kill -CONT "$pid"
        for tries in $(seq 100); do
            running "$1" "$2" || break
            read -r -t 0.1 <> <(:) || true
        done
        ! running "$1" "$2" || kill -KILL "$pid"
    fi
    rm -f "$1/$2.pid"
}

# free PORT: nobody answers there yet, so that what answers later is ours
free() { ! answers "$1" || die "port $1 is taken"; }

# gone FILE: until a server has removed its pid file, which it does at its end, 10 s at most
gone() {
    local tries
    for tries in $(seq 100); do
        [ -e "$1" ] || return 0
        read -r -t 0.1 <> <(:) || true
    done
    die "the server of $1 does not end"
}
