#!/bin/bash
# graphite.sh start FOLDER LINE PICKLE QUERY WEB [stock] | graphite.sh stop FOLDER
#   carbon-cache on 127.0.0.1: plaintext over TCP and UDP on port LINE, pickle on PICKLE, its cache on
#   QUERY; graphite-web on port WEB, or none when WEB is `-`. Pid files: carbon.pid, web.pid (SIGSTOP carbon
#   for an outage in which connections still open). Values outlive a stop; start again to go on.
#   One point a minute for 30 days, the last write wins, new paths without limit. With `stock`, what Debian
#   ships instead: its storage-schemas.conf (60s:1d,5m:30d,1h:3y), 50 new paths and no more a minute, 500
#   writes a second.
#   Ask: curl 'http://127.0.0.1:WEB/render?target=a.b&from=-10min&format=json'
. "$(dirname "$0")/lib.sh"
case "${1:-}" in
stop)
    folder=$(cd "${2:?folder}" && pwd)
    halt "$folder" web
    halt "$folder" carbon
    exit 0 ;;
start) ;;
*) die "usage: graphite.sh start FOLDER LINE PICKLE QUERY WEB [stock] | graphite.sh stop FOLDER" ;;
esac
folder=${2:?folder}; line=${3:?line port}; pickle=${4:?pickle port}; query=${5:?query port}; web=${6:?web port or -}
kind=${7:-}
want carbon-cache graphite-carbon
want curl curl
# Debian's packages are for Debian's python, whatever else the PATH has.
python=/usr/bin/python3
mkdir -p "$folder/conf" "$folder/storage" "$folder/whisper" "$folder/log"
folder=$(cd "$folder" && pwd)
free "$line"; free "$pickle"; free "$query"

creates=inf; updates=5000
if [ "$kind" = stock ]; then
    creates=50; updates=500
    # Debian ships no storage-aggregation.conf: carbon's own defaults hold.
    cp /etc/carbon/storage-schemas.conf "$folder/conf/storage-schemas.conf"
    rm -f "$folder/conf/storage-aggregation.conf"
else
    printf '[minute]\npattern = .*\nretentions = 60s:30d\n' >"$folder/conf/storage-schemas.conf"
    printf '[last]\npattern = .*\nxFilesFactor = 0\naggregationMethod = last\n' >"$folder/conf/storage-aggregation.conf"
fi
cat >"$folder/conf/carbon.conf" <<C
[cache]
USER =
CONF_DIR = $folder/conf
STORAGE_DIR = $folder/storage
LOCAL_DATA_DIR = $folder/whisper
LOG_DIR = $folder/log
PID_DIR = $folder/storage
ENABLE_LOGROTATION = False
LINE_RECEIVER_INTERFACE = 127.0.0.1
LINE_RECEIVER_PORT = $line
ENABLE_UDP_LISTENER = True
UDP_RECEIVER_INTERFACE = 127.0.0.1
UDP_RECEIVER_PORT = $line
PICKLE_RECEIVER_INTERFACE = 127.0.0.1
PICKLE_RECEIVER_PORT = $pickle
CACHE_QUERY_INTERFACE = 127.0.0.1
CACHE_QUERY_PORT = $query
MAX_CACHE_SIZE = inf
MAX_CREATES_PER_MINUTE = $creates
MAX_UPDATES_PER_SECOND = $updates
WHISPER_AUTOFLUSH = True
LOG_UPDATES = False
ENABLE_TAGS = False
C
# --nodaemon still writes and checks a pid file of its own, which a killed carbon leaves.
rm -f "$folder"/storage/carbon-cache-*.pid
launch "$folder" carbon $python "$(command -v carbon-cache)" --config="$folder/conf/carbon.conf" --nodaemon start
await_port "$query" "$folder/carbon.out"
await_port "$line" "$folder/carbon.out"
[ "$web" != - ] || exit 0

[ -e /usr/share/graphite-web ] || die "graphite-web is missing; it is in Debian's package graphite-web"
free "$web"
mkdir -p "$folder/web"
cat >"$folder/web/web_settings.py" <<C
from graphite.settings import *
SECRET_KEY = 'nothing is secret here'
ALLOWED_HOSTS = ['127.0.0.1', 'localhost']
TIME_ZONE = 'UTC'
STORAGE_DIR = '$folder/storage'
WHISPER_DIR = '$folder/whisper'
STANDARD_DIRS = DATA_DIRS = ['$folder/whisper']
LOG_DIR = '$folder/log'
INDEX_FILE = '$folder/web/index'
CARBONLINK_HOSTS = ['127.0.0.1:$query']
CARBONLINK_TIMEOUT = 2.0
# An answer that was right a moment ago is of no use to a test.
CACHES = {'default': {'BACKEND': 'django.core.cache.backends.dummy.DummyCache'}}
FIND_CACHE_DURATION = DEFAULT_CACHE_DURATION = 0
DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': '$folder/web/web.db'}}
C
cat >"$folder/web/serve.py" <<C
import os, sys
from socketserver import ThreadingMixIn
from wsgiref import simple_server

sys.path.insert(0, '$folder/web')
os.environ['DJANGO_SETTINGS_MODULE'] = 'web_settings'
import django
django.setup()
from django.core.management import call_command
call_command('migrate', run_syncdb=True, verbosity=0, interactive=False)
from graphite.wsgi import application

class Server(ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True

simple_server.make_server('127.0.0.1', $web, application, server_class=Server).serve_forever()
C
launch "$folder" web $python "$folder/web/serve.py"
await_url "http://127.0.0.1:$web/metrics/find?query=*" "$folder/web.out"
