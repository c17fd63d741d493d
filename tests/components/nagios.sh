#!/bin/bash
# nagios.sh start FOLDER [SERVICE SECONDS ATTEMPTS COMMAND...] | nagios.sh stop FOLDER
#   Nagios 4 with one host, `web1`, and the objects of FOLDER/objects/*.cfg. With SERVICE, one service of that
#   name, whose COMMAND runs each SECONDS and is HARD after so many ATTEMPTS. Services of your own: `use asked`,
#   with check_interval in seconds. Started by root it runs as nagios, which must get at FOLDER.
#   States, outputs, perfdata: FOLDER/status.dat, written each second. What it did: FOLDER/nagios.log,
#   FOLDER/notifications. Pid file: nagios.pid.
. "$(dirname "$0")/lib.sh"
case "${1:-}" in
stop)
    folder=$(cd "${2:?folder}" && pwd)
    halt "$folder" nagios
    exit 0 ;;
start) ;;
*) die "usage: nagios.sh start FOLDER [SERVICE SECONDS ATTEMPTS COMMAND...] | nagios.sh stop FOLDER" ;;
esac
folder=${2:?folder}
shift 2
want nagios4 nagios4-core
mkdir -p "$folder/objects" "$folder/rw" "$folder/spool" "$folder/archives"
folder=$(cd "$folder" && pwd)
user=$(id -un); group=$(id -gn)
if [ "$(id -u)" = 0 ]; then
    user=nagios; group=nagios
fi

cat >"$folder/base.cfg" <<C
define timeperiod {
    timeperiod_name always
    alias           always
$(printf '    %s 00:00-24:00\n' sunday monday tuesday wednesday thursday friday saturday)
}
define command {
    command_name ok
    command_line /bin/true
}
define command {
    command_name note
    command_line /usr/bin/printf '%s %s %s %s\n' '\$NOTIFICATIONTYPE\$' '\$SERVICEDESC\$' '\$SERVICESTATE\$' '\$SERVICEOUTPUT\$' >> $folder/notifications
}
define contact {
    contact_name                  somebody
    service_notification_period   always
    host_notification_period      always
    service_notification_options  w,u,c,r
    host_notification_options     n
    service_notification_commands note
    host_notification_commands    ok
}
define host {
    host_name           web1
    address             127.0.0.1
    check_command       ok
    max_check_attempts  1
    check_period        always
    notification_period always
    contacts            somebody
}
define service {
    name                  asked
    host_name             web1
    check_interval        5
    retry_interval        5
    max_check_attempts    1
    check_period          always
    notification_period   always
    notification_interval 0
    contacts              somebody
    register              0
}
C
if [ $# -gt 0 ]; then
    name=$1; seconds=${2:?seconds}; attempts=${3:?attempts}
    shift 3
    cat >"$folder/one.cfg" <<C
define command {
    command_name one
    command_line $*
}
define service {
    use                 asked
    service_description $name
    check_command       one
    check_interval      $seconds
    retry_interval      $seconds
    max_check_attempts  $attempts
}
C
else
    : >"$folder/one.cfg"
fi
cat >"$folder/nagios.cfg" <<C
log_file=$folder/nagios.log
cfg_file=$folder/base.cfg
cfg_file=$folder/one.cfg
cfg_dir=$folder/objects
object_cache_file=$folder/objects.cache
status_file=$folder/status.dat
status_update_interval=1
nagios_user=$user
nagios_group=$group
check_external_commands=0
lock_file=$folder/nagios.lock
temp_file=$folder/nagios.tmp
temp_path=$folder/spool
check_result_path=$folder/spool
state_retention_file=$folder/retention.dat
retain_state_information=0
log_archive_path=$folder/archives
interval_length=1
service_inter_check_delay_method=n
max_service_check_spread=1
check_result_reaper_frequency=1
service_check_timeout=30
illegal_macro_output_chars=\`~\$&|'"<>
enable_notifications=1
execute_service_checks=1
use_syslog=0
query_socket=$folder/rw/nagios.qh
C
rm -f "$folder/status.dat" "$folder/nagios.lock"
if [ "$(id -u)" = 0 ]; then
    touch "$folder/notifications"
    chown "$user:$group" "$folder" "$folder/rw" "$folder/spool" "$folder/archives" "$folder/notifications"
    [ ! -e "$folder/nagios.log" ] || chown "$user:$group" "$folder/nagios.log"
    runuser -u "$user" -- test -w "$folder" || die "user $user cannot get at $folder: a folder above it is closed"
fi
nagios4 -v "$folder/nagios.cfg" >"$folder/verified" 2>&1 || { grep -i 'error\|warning' "$folder/verified" >&2; die "Nagios refuses its configuration"; }
launch "$folder" nagios nagios4 "$folder/nagios.cfg"
for _ in $(seq 300); do
    [ ! -s "$folder/status.dat" ] || exit 0
    running "$folder" nagios || break
    read -r -t 0.1 <> <(:) || true
done
tail -5 "$folder/nagios.out" "$folder/nagios.log" >&2 || true
die "Nagios does not run"
