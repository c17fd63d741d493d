#!/bin/bash
# nginx.sh start FOLDER PORT [http2=PORT] [syslog=SERVER...] | nginx.sh stop FOLDER
#   nginx on 127.0.0.1:PORT and [::1]:PORT. FOLDER/access.log has the layout of parsers/nginx-cdn.toml,
#   read from that file and its parent. HTTP/2 without TLS on a port of its own. Each SERVER (ADDRESS:PORT
#   or unix:PATH) gets the same lines by syslog.
. "$(dirname "$0")/lib.sh"
case "${1:-}" in
stop)
    kill "$(cat "${2:?folder}/nginx.pid")"
    gone "$2/nginx.pid"
    exit 0 ;;
start) ;;
*) die "usage: nginx.sh start FOLDER PORT [http2=PORT] [syslog=SERVER...] | nginx.sh stop FOLDER" ;;
esac
folder=${2:?folder}; port=${3:?port}
shift 3
more=
for option in "$@"; do
    case $option in
    http2=*) more+="listen 127.0.0.1:${option#*=} http2; " ;;
    syslog=*) more+="access_log syslog:server=${option#*=} cdn; " ;;
    *) die "unknown option $option" ;;
    esac
done
want nginx nginx-light
mkdir -p "$folder/html/status/images" "$folder/tmp"
folder=$(cd "$folder" && pwd)
printf 'hello\n' >"$folder/html/index.html"
printf 'GIF89a' >"$folder/html/status/images/beacon.gif"
layout="$(format nginx-combined nginx)$(format nginx-cdn append)"
user=; [ "$(id -u)" != 0 ] || user='user root;'
cat >"$folder/nginx.conf" <<C
$user
worker_processes 1;
pid $folder/nginx.pid;
error_log $folder/error.log info;
events { worker_connections 64; }
http {
    client_body_temp_path $folder/tmp/b; proxy_temp_path $folder/tmp/p;
    fastcgi_temp_path $folder/tmp/f; uwsgi_temp_path $folder/tmp/u; scgi_temp_path $folder/tmp/s;
    log_format cdn '$layout';
    server {
        listen 127.0.0.1:$port;
        listen [::1]:$port;
        root $folder/html;
        access_log $folder/access.log cdn;
        $more
        location = /503 { return 503; }
    }
}
C
nginx -q -c "$folder/nginx.conf" -p "$folder" -e "$folder/error.log"
await_port "$port" "$folder/error.log"
