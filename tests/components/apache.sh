#!/bin/bash
# apache.sh start FOLDER PORT [http2] | apache.sh stop FOLDER
#   Apache httpd on 127.0.0.1:PORT and [::1]:PORT. FOLDER/combined.log, common.log and
#   vhost_combined.log have the layouts of parsers/apache-*.toml, read from those files.
#   With `http2` it speaks HTTP/2 without TLS on the same port.
. "$(dirname "$0")/lib.sh"
case "${1:-}" in
stop)
    kill "$(cat "${2:?folder}/apache.pid")"
    gone "$2/apache.pid"
    exit 0 ;;
start) ;;
*) die "usage: apache.sh start FOLDER PORT [http2] | apache.sh stop FOLDER" ;;
esac
folder=${2:?folder}; port=${3:?port}; http2=${4:-}
want apache2 apache2
mkdir -p "$folder/html/status/images"
folder=$(cd "$folder" && pwd)
chmod 755 "$folder"
printf 'hello\n' >"$folder/html/index.html"
printf 'GIF89a' >"$folder/html/status/images/beacon.gif"
modules=/usr/lib/apache2/modules
user=; [ "$(id -u)" != 0 ] || user=$'User www-data\nGroup www-data'
# custom_log NAME PARSER: Apache reads quotes inside its directive as \"
custom_log() {
    printf 'LogFormat "%s" %s\nCustomLog %s/%s.log %s\n' \
        "$(format "$2" apache | sed 's/"/\\"/g')" "$1" "$folder" "$1" "$1"
}
{
    cat <<C
ServerRoot $folder
ServerName www.example.com
Listen 127.0.0.1:$port
Listen [::1]:$port
PidFile $folder/apache.pid
DefaultRuntimeDir $folder
Mutex file:$folder default
LoadModule mpm_event_module $modules/mod_mpm_event.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule dir_module $modules/mod_dir.so
$user
StartServers 1
ThreadsPerChild 5
MaxRequestWorkers 5
DocumentRoot $folder/html
DirectoryIndex index.html
ErrorLog $folder/error.log
<Directory $folder/html>
    Require all granted
</Directory>
C
    [ "$http2" != http2 ] || printf 'LoadModule http2_module %s/mod_http2.so\nProtocols h2c http/1.1\n' "$modules"
    custom_log combined apache-combined
    custom_log common apache-common
    custom_log vhost_combined apache-vhost-combined
} >"$folder/apache.conf"
apache2 -f "$folder/apache.conf" -k start
await_port "$port" "$folder/error.log"
