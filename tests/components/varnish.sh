#!/bin/bash
# varnish.sh start FOLDER PORT BACKEND|FILE.vcl [IDENTITY] | varnish.sh stop FOLDER
#   Varnish on 127.0.0.1:PORT in front of BACKEND (HOST:PORT) or as FILE.vcl says, under the name IDENTITY, which
#   VCL knows as server.identity. varnishncsa writes FOLDER/access.log in the format of the parser
#   varnishncsa-cdn. Pid files: varnish.pid, varnishncsa.pid.
. "$(dirname "$0")/lib.sh"
case "${1:-}" in
stop)
    folder=$(cd "${2:?folder}" && pwd)
    halt "$folder" varnishncsa
    halt "$folder" varnish
    exit 0 ;;
start) ;;
*) die "usage: varnish.sh start FOLDER PORT BACKEND|FILE.vcl [IDENTITY] | varnish.sh stop FOLDER" ;;
esac
folder=${2:?folder}; port=${3:?port}; behind=${4:?backend or VCL}; identity=${5:-varnish}
want varnishd varnish
mkdir -p "$folder/vsm"
folder=$(cd "$folder" && pwd)
free "$port"
source=(-b "$behind")
if [ -f "$behind" ]; then
    source=(-f "$(cd "$(dirname "$behind")" && pwd)/$(basename "$behind")")
fi
jail=()
if [ "$(id -u)" = 0 ]; then
    jail=(-j none)
fi
launch "$folder" varnish varnishd "${jail[@]}" -F -n "$folder/vsm" -i "$identity" -a "127.0.0.1:$port" "${source[@]}" \
    -s malloc,16m -T none -p vsl_space=16m
await_port "$port" "$folder/varnish.out"
written=$(format varnishncsa-cdn varnishncsa)
[ -n "$written" ] || die "parsers/varnishncsa-cdn.toml has no format"
launch "$folder" varnishncsa varnishncsa -n "$folder/vsm" -t 30 -a -w "$folder/access.log" \
    -F "$written"
# It attaches to the log in memory in its own time, and says nothing of it but by the file.
for _ in $(seq 200); do
    [ ! -e "$folder/access.log" ] || exit 0
    running "$folder" varnishncsa || break
    read -r -t 0.1 <> <(:) || true
done
tail -5 "$folder/varnishncsa.out" >&2 || true
die "varnishncsa does not write"
