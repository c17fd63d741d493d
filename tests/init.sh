#!/usr/bin/env bash
# The round trip: a server is started with a configuration that `init` has read, makes a log, and `once` counts its
# lines with the file that `init` wrote; then with the change that `init` asked for. The configurations that this
# machine's packages brought are read as well, whatever they are.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:/usr/sbin:/sbin
fail() { printf 'init.sh: %s\n' "$*" >&2; exit 1; }
command -v nginx >/dev/null 2>&1 || { echo "init.sh: nginx is missing, the round trip is not made"; exit 0; }

target=${CARGO_TARGET_DIR:-target}
program=$(ls -t "$target/release/beacontail" "$target/debug/beacontail" 2>/dev/null | head -n 1) || true
[[ -n $program ]] || fail "no program is built yet (cargo build)"
program=$(realpath "$program")
work=$(mktemp -d)
stop() { [[ ! -s $work/nginx.pid ]] || kill "$(cat "$work/nginx.pid")" 2>/dev/null || true; }
trap 'stop; rm -rf "$work"' EXIT
chmod 755 "$work"

# The packages' own files, read from the root of this machine.
status=0
"$program" init --print >"$work/here.toml" 2>"$work/told" || status=$?
if ((status == 0)); then
    "$program" check-config --offline -c <(sed 's,"parsers/[^"]*","nginx-combined",' "$work/here.toml") >/dev/null ||
        fail "the configuration for this machine does not load"
    grep -c '^\[\[log\]\]' "$work/here.toml" | sed 's/$/ logs on this machine/'
elif ((status != 1)); then
    fail "init ended with $status here: $(cat "$work/told")"
fi

# A server that writes to two logs, in a format of its own. The log is outside the root, as it is for a container.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir -p "$work/root/etc/nginx/conf.d" "$work/html/status/images" "$work/tmp" "$work/logs"
printf 'hello\n' >"$work/html/index.html"
printf 'GIF89a' >"$work/html/status/images/beacon.gif"
user=; ((EUID != 0)) || user='user root;'
# nginx takes its relative includes from the folder of the file, as init does from that of the root's.
cat >"$work/root/etc/nginx/nginx.conf" <<C
$user
worker_processes 1;
pid $work/nginx.pid;
error_log $work/logs/error.log;
events { worker_connections 64; }
http {
    client_body_temp_path $work/tmp/b; proxy_temp_path $work/tmp/p;
    fastcgi_temp_path $work/tmp/f; uwsgi_temp_path $work/tmp/u; scgi_temp_path $work/tmp/s;
    log_format  main  '\$remote_addr - \$remote_user [\$time_local] "\$request" '
                      '\$status \$body_bytes_sent "\$http_referer" "\$http_user_agent"'
                      ' host=\$host';
    include conf.d/*.conf;
}
C
cat >"$work/root/etc/nginx/conf.d/shop.conf" <<C
server {
    listen 127.0.0.1:$port;
    root $work/html;
    access_log $work/logs/shop.log main;
}
C

start() {
    nginx -q -c "$work/root/etc/nginx/nginx.conf" -p "$work" -e "$work/logs/error.log"
    for _ in $(seq 100); do
        curl -fsS -o /dev/null "http://127.0.0.1:$port/" 2>/dev/null && return
        read -r -t 0.1 <> <(:) || true
    done
    fail "nginx does not answer: $(tail -n 3 "$work/logs/error.log")"
}
# reads FILE N: until the log has so many lines
holds() {
    for _ in $(seq 100); do
        (($(wc -l <"$1") >= $2)) && return
        read -r -t 0.1 <> <(:) || true
    done
    fail "$1 has only $(wc -l <"$1") lines"
}
# total TEXTFILE METRIC: the sum of its series
total() { awk -v name="$2" 'index($1, name "{") == 1 { sum += $NF } END { print sum + 0 }' "$1"; }
once() { "$program" once -c "$work/$1/beacontail.toml" --from start --close --textfile "$work/$1.prom"; }
configured() {
    "$program" init --root "$work/root" --out "$work/$1/beacontail.toml" >"$work/$1.told"
    # Every run has a store of its own.
    sed -i "s,^path = .*\.db\".*,path = \"$work/$1.db\"," "$work/$1/beacontail.toml"
    sed -i 's,^listen = "127.*,listen = "",' "$work/$1/beacontail.toml"
    "$program" check-config -c "$work/$1/beacontail.toml" >/dev/null || fail "what init wrote does not pass"
}

start
for source in fastly akamai fastly; do
    curl -fsS -o /dev/null "http://127.0.0.1:$port/status/images/beacon.gif?source=$source&server_identity=cache-ny57-NYC"
done
holds "$work/logs/shop.log" 4
configured first
grep -q 'parser = "parsers/nginx-main.toml"' "$work/first/beacontail.toml" || fail "no parser was made of the format"
once first
[[ $(total "$work/first.prom" cdn_failure_beacons_total) == 3 ]] || fail "the beacons are not counted: $(cat "$work/first.prom")"

# The line that init asks for, put in the place that it names; the log begins anew.
stop
for _ in $(seq 100); do [[ -e $work/nginx.pid ]] || break; read -r -t 0.1 <> <(:) || true; done
python3 - "$work/first.told" "$work/root/etc/nginx/nginx.conf" <<'P'
import sys, textwrap
told, path = open(sys.argv[1]).read(), sys.argv[2]
old, new = told.split("In place of\n\n")[1].split("\n  then:")[0].split("\n  write\n\n")
old, new = (textwrap.dedent(part).strip().splitlines() for part in (old, new))
text = open(path).read().splitlines()
at = next(n for n, line in enumerate(text) if line.strip() == old[0])
assert [line.strip() for line in text[at:at + len(old)]] == [line.strip() for line in old], (text, old)
text[at:at + len(old)] = new
open(path, "w").write("\n".join(text) + "\n")
P
rm "$work/logs/shop.log"
start
curl -fsS -o /dev/null -H 'X-CDN-Provider: Fastly' -H 'X-Forwarded-For: 198.51.100.7' "http://127.0.0.1:$port/?q=%22a%22"
holds "$work/logs/shop.log" 2
configured second
grep -q 'rules = \["beacon", "origin"\]' "$work/second/beacontail.toml" || fail "the change does not bring the rules"
! grep -q 'logs no' "$work/second.told" || fail "something is still missing: $(cat "$work/second.told")"
once second
grep -q 'cdn_origin_requests_total{.*code="2xx".*provider="fastly".*} 1' "$work/second.prom" ||
    grep -q 'cdn_origin_requests_total{.*provider="fastly".*code="2xx".*} 1' "$work/second.prom" ||
    fail "the request through fastly is not counted: $(grep requests_total "$work/second.prom")"
grep -q 'cdn_origin_request_duration_seconds_count{.*provider="fastly".*} 1' "$work/second.prom" || fail "no duration"
echo "a server's log is counted with what init wrote, and all of it after the change that init asks for"
