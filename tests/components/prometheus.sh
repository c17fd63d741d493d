#!/bin/bash
# prometheus.sh start FOLDER PORT [TARGET...] | prometheus.sh stop FOLDER
#   Prometheus on 127.0.0.1:PORT. It scrapes each TARGET (HOST:PORT) every second as job beacontail, and
#   loads FOLDER/rules/*.yml. Alerts go to $ALERTMANAGER (HOST:PORT), if it is set. Samples outlive
#   a stop; start again to go on. Pid file: prometheus.pid.
#   Ask: curl 'http://127.0.0.1:PORT/api/v1/query' --data-urlencode 'query=up'
. "$(dirname "$0")/lib.sh"
case "${1:-}" in
stop)
    halt "$(cd "${2:?folder}" && pwd)" prometheus
    exit 0 ;;
start) ;;
*) die "usage: prometheus.sh start FOLDER PORT [TARGET...] | prometheus.sh stop FOLDER" ;;
esac
folder=${2:?folder}; port=${3:?port}
shift 3
want prometheus prometheus
want curl curl
mkdir -p "$folder/rules" "$folder/data"
folder=$(cd "$folder" && pwd)
free "$port"
targets=$(printf '"%s", ' "$@")
[ $# -gt 0 ] || targets=
alertmanagers=
[ -z "${ALERTMANAGER:-}" ] || alertmanagers="\"$ALERTMANAGER\""
cat >"$folder/prometheus.yml" <<C
global:
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 1s
rule_files: ["$folder/rules/*.yml"]
alerting:
  alertmanagers:
    - static_configs:
        - targets: [$alertmanagers]
scrape_configs:
  - job_name: beacontail
    static_configs:
      - targets: [${targets%, }]
C
launch "$folder" prometheus prometheus --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/data" \
    --web.listen-address="127.0.0.1:$port" --log.level=warn
await_url "http://127.0.0.1:$port/-/ready" "$folder/prometheus.out"
