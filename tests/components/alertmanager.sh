#!/bin/bash
# alertmanager.sh start FOLDER PORT [CONFIGURATION] | alertmanager.sh stop FOLDER
#   Alertmanager on 127.0.0.1:PORT, alone. Without CONFIGURATION it keeps what it is sent and tells nobody.
#   Pid file: alertmanager.pid. Ask: curl http://127.0.0.1:PORT/api/v2/alerts
. "$(dirname "$0")/lib.sh"
case "${1:-}" in
stop)
    halt "$(cd "${2:?folder}" && pwd)" alertmanager
    exit 0 ;;
start) ;;
*) die "usage: alertmanager.sh start FOLDER PORT [CONFIGURATION] | alertmanager.sh stop FOLDER" ;;
esac
folder=${2:?folder}; port=${3:?port}; configuration=${4:-}
want prometheus-alertmanager prometheus-alertmanager
want curl curl
mkdir -p "$folder/data"
folder=$(cd "$folder" && pwd)
free "$port"
if [ -z "$configuration" ]; then
    configuration=$folder/alertmanager.yml
    printf 'route: {receiver: nobody}\nreceivers: [{name: nobody}]\n' >"$configuration"
fi
launch "$folder" alertmanager prometheus-alertmanager --config.file="$configuration" --storage.path="$folder/data" \
    --web.listen-address="127.0.0.1:$port" --cluster.listen-address= --log.level=warn
await_url "http://127.0.0.1:$port/-/ready" "$folder/alertmanager.out"
