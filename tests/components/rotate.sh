#!/bin/bash
# rotate.sh FOLDER LOG MODE [PIDFILE]
#   One forced rotation of LOG by logrotate, which keeps its configuration and memory in FOLDER, and five
#   old logs. With PIDFILE, its process gets USR1 afterwards, on which nginx opens its logs anew.
#   MODE: create          LOG becomes LOG.1, a new LOG
#         compress        the same, LOG.1.gz at once
#         delaycompress   LOG.1, compressed by the next rotation
#         dateext         LOG-YYYYMMDD-SECONDS
#         copytruncate    a copy in LOG.1, LOG emptied
. "$(dirname "$0")/lib.sh"
usage="usage: rotate.sh FOLDER LOG create|compress|delaycompress|dateext|copytruncate [PIDFILE]"
folder=${1:?$usage}; log=${2:?$usage}; mode=${3:?$usage}; pidfile=${4:-}
want logrotate logrotate
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
[ -f "$log" ] || die "$log is no file"
log=$(cd "$(dirname "$log")" && pwd)/${log##*/}
how=create
case $mode in
create) ;;
compress) how=$'create\n    compress' ;;
delaycompress) how=$'create\n    compress\n    delaycompress' ;;
dateext) how=$'create\n    dateext\n    dateformat -%Y%m%d-%s' ;;
copytruncate) how=copytruncate ;;
*) die "$usage" ;;
esac
{
    # A folder that others may write to is refused without it.
    printf 'su %s %s\n' "$(id -un)" "$(id -gn)"
    printf '"%s" {\n    rotate 5\n    %s\n' "$log" "$how"
    [ -z "$pidfile" ] || printf '    postrotate\n        kill -USR1 $(cat %q)\n    endscript\n' "$pidfile"
    printf '}\n'
} >"$folder/rotate.conf"
chmod 644 "$folder/rotate.conf"
logrotate --force --state "$folder/rotate.state" "$folder/rotate.conf"
