#!/usr/bin/env bash
# The package on a machine where systemd runs: systemd is booted in namespaces of its own, over a throw-away
# copy (an overlay) of this machine's file system, and there the package is installed, and the service started,
# reloaded, killed, misconfigured, removed and purged. Nothing outside changes; the network is empty.
#
# Needs root, cargo-deb, and a kernel and a container that allow it; else it says what is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tests/package.sh
what="the service is not tried under systemd"
needs dpkg unshare ip timeout curl /lib/systemd/systemd

work=$(mktemp -d)
cgroup=beacontail-booted-$$
clean() {
    local tries
    # Groups can be removed once their last process is gone; the deepest come first.
    for tries in $(seq 50); do
        find /sys/fs/cgroup -depth -type d -path "*/$cgroup*" -exec rmdir {} + 2>/dev/null || true
        [[ -n $(find /sys/fs/cgroup -maxdepth 2 -name "$cgroup") ]] || break
        read -r -t 0.1 <> <(:) || true
    done
    rm -rf "$work"
}
trap clean EXIT
make_package "$work"

# Runs under the booted systemd. Each line it writes is a check that held; the last is `done`.
cat >"$work/inside" <<'INSIDE'
fail() { echo "failed: $*"; journalctl -u beacontail --no-pager -n 20; exit 1; }
state() { systemctl is-active beacontail || true; }
shown() { systemctl show -p "$1" --value beacontail; }
# metric PATTERN: whether /metrics has such a line
metric() { curl -s --max-time 5 http://127.0.0.1:9577/metrics | grep -q "$1"; }
# soon WHAT COMMAND…: waits for the command to succeed
soon() {
    local what=$1
    shift
    for _ in $(seq 100); do
        "$@" && return 0
        sleep 0.1
    done
    fail "$what"
}
# line SOURCE: the log gets a beacon
line() {
    printf '192.0.2.7 - - [%s] "GET /status/images/beacon.gif?source=%s HTTP/1.1" 200 43 "-" "-"\n' \
        "$(LC_ALL=C date '+%d/%b/%Y:%H:%M:%S %z')" "$1" >>/var/log/nginx/access.log
}
# told FIELD=VALUE…: whether the journal has a message of ours with these fields
told() { journalctl -q --no-pager SYSLOG_IDENTIFIER=beacontail "$@" | grep -q .; }
# eventually STATE: a restart takes RestartSec
eventually() {
    for _ in $(seq 100); do
        [ "$(state)" = "$1" ] && return 0
        sleep 0.1
    done
    fail "$2: $(state), not $1"
}
store=/var/lib/beacontail/store.db
ip link set lo up
mkdir -p /var/log/nginx
: >/var/log/nginx/access.log
chown root:adm /var/log/nginx/access.log
chmod 640 /var/log/nginx/access.log

dpkg --force-depends -i /root/beacontail.deb >/root/dpkg 2>&1 || fail "$(cat /root/dpkg)"
eventually active "after the installation"
[ "$(systemctl is-enabled beacontail)" = enabled ] || fail "the service is not enabled"
[ -s $store ] || fail "no store"
[ "$(stat -c '%U %a' /var/lib/beacontail)" = "beacontail 750" ] || fail "the state folder"
pid=$(shown MainPID)
[ "$(stat -c %U /proc/"$pid")" = beacontail ] || fail "the service is not its account's"
grep -q '^CapEff:.0*$' /proc/"$pid"/status || fail "the service has capabilities"
echo "installed and started"

soon "no metrics" metric '^beacontail_followed_files{log="access"} 1$'
line fastly
soon "a line is not counted" metric '^cdn_failure_beacons_total{provider="fastly"} 1$'
metric '^beacontail_inotify 1$' || fail "the sandbox takes inotify away"
metric '^beacontail_store_ok 1$' || fail "the store fails in the sandbox"
mv /var/log/nginx/access.log /var/log/nginx/access.log.1
install -m 640 -o root -g adm /dev/null /var/log/nginx/access.log
line akamai
soon "a rotated log is not followed" metric '^cdn_failure_beacons_total{provider="akamai"} 1$'
soon "the journal lacks the rotation" told BEACONTAIL_LOG=access BEACONTAIL_PATH=/var/log/nginx/access.log
journalctl -q --no-pager -u beacontail | grep -q 'access: /var/log/nginx/access.log: rotated' ||
    fail "the rotation has no text"
echo "counted, in the sandbox, and told the journal"

systemctl reload beacontail || fail "the reload"
eventually active "after a reload"
[ "$(shown MainPID)" = "$pid" ] || fail "a reload was a restart"
echo "reloaded"

kill -KILL "$pid"
for _ in $(seq 100); do [ "$(shown NRestarts)" = 1 ] && break; sleep 0.1; done
eventually active "after kill -9"
[ "$(shown MainPID)" != "$pid" ] || fail "the killed process is still the main one"
soon "the count is lost" metric '^cdn_failure_beacons_total{provider="fastly"} 1$'
echo "started again after kill -9, with its counts"

mkdir /run/systemd/system/beacontail.service.d
printf '[Service]\nWatchdogSec=2\n' >/run/systemd/system/beacontail.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart beacontail || fail "the restart"
pid=$(shown MainPID)
sleep 5 # longer than the watchdog's patience: nothing may happen meanwhile
[ "$(shown MainPID) $(state)" = "$pid active" ] || fail "the watchdog bites a healthy agent"
kill -STOP "$pid"
for _ in $(seq 100); do [ "$(shown MainPID)" != "$pid" ] && break; sleep 0.1; done
[ "$(shown MainPID)" != "$pid" ] || fail "the watchdog does not notice a stopped agent"
eventually active "after the watchdog"
rm -r /run/systemd/system/beacontail.service.d
systemctl daemon-reload
echo "watched"

systemctl stop beacontail || fail "the stop"
[ "$(shown Result)" = success ] || fail "a stop ends in $(shown Result)"
echo '[store' >>/etc/beacontail/beacontail.toml
systemctl start beacontail 2>/dev/null && fail "a wrong configuration starts"
sleep 3 # longer than RestartSec: nothing may happen meanwhile
[ "$(state) $(shown ExecMainStatus)" = "failed 2" ] || fail "a wrong configuration: $(state) $(shown ExecMainStatus)"
sed -i '$d' /etc/beacontail/beacontail.toml
systemctl reset-failed beacontail
systemctl start beacontail || fail "the start after a mended configuration"
echo "a wrong configuration is not tried again and again"

pid=$(shown MainPID)
dpkg --force-depends -i /root/beacontail.deb >/root/dpkg 2>&1 || fail "$(cat /root/dpkg)"
eventually active "after an upgrade"
[ "$(shown MainPID)" != "$pid" ] || fail "an upgrade leaves the old program running"
echo "upgraded"

dpkg -r beacontail >/root/dpkg 2>&1 || fail "$(cat /root/dpkg)"
[ "$(state)" != active ] || fail "the removal leaves the service running"
[ -s $store ] || fail "the removal took the store"
dpkg -P beacontail >/root/dpkg 2>&1 || fail "$(cat /root/dpkg)"
[ ! -e /var/lib/beacontail ] || fail "the purge left the state"
echo "removed and purged"
echo done
INSIDE

cat >"$work/boot" <<'BOOT'
set -e
work=$1
root=$work/over/root
mount -t tmpfs -o size=400m beacontail "$work/over"
mkdir "$work/over/changes" "$work/over/scratch" "$root"
mount -t overlay -o "lowerdir=/,upperdir=$work/over/changes,workdir=$work/over/scratch" beacontail "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
if [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; then
    mount -t cgroup2 cgroup "$root/sys/fs/cgroup"
else
    mount -t tmpfs cgroup "$root/sys/fs/cgroup"
    for one in memory pids cpu devices; do
        mkdir "$root/sys/fs/cgroup/$one"
        mount -t cgroup -o "$one" cgroup "$root/sys/fs/cgroup/$one"
    done
    mkdir "$root/sys/fs/cgroup/systemd" "$root/sys/fs/cgroup/unified"
    mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
    mount -t cgroup2 cgroup "$root/sys/fs/cgroup/unified"
fi
mount --rbind /dev "$root/dev"
mount -t tmpfs run "$root/run"
mount -t tmpfs tmp "$root/tmp"
cp "$work/beacontail.deb" "$work/inside" "$root/root/"
mount --bind "$work/said" "$root/mnt"
# Nothing of this machine's own services, policy or earlier installation takes part.
rm -rf "$root/usr/sbin/policy-rc.d" "$root"/etc/systemd/system/*.wants "$root/etc/beacontail" "$root/var/lib/beacontail"
: >"$root/etc/machine-id"
cat >"$root/etc/systemd/system/tryout.service" <<U
[Unit]
After=basic.target
[Service]
Type=oneshot
StandardOutput=append:/mnt/out
StandardError=append:/mnt/out
ExecStart=/bin/bash /root/inside
ExecStopPost=/bin/sh -c 'systemctl poweroff -ff >/dev/null 2>&1'
U
printf '[Unit]\nRequires=basic.target tryout.service\nAllowIsolate=yes\n' >"$root/etc/systemd/system/tryout.target"
export container=other
exec chroot "$root" /lib/systemd/systemd --system --unit=tryout.target --log-target=console --log-level=warning
BOOT

mkdir "$work/over" "$work/said"
: >"$work/said/out"
# The booted systemd has a group of its own below ours in each hierarchy, and sees nothing above.
in_group() {
    local one
    for one in /sys/fs/cgroup /sys/fs/cgroup/*; do
        [[ -e $one/cgroup.procs ]] && mkdir "$one/$cgroup" 2>/dev/null && echo "$BASHPID" >"$one/$cgroup/cgroup.procs" || true
    done
    exec timeout -k 5 150 unshare --mount --pid --fork --kill-child --cgroup --uts --ipc --net --propagation private \
        bash "$work/boot" "$work"
}
(in_group) >"$work/console" 2>&1 </dev/null || true

if [[ ! -s $work/said/out ]]; then
    tail -n 3 "$work/console"
    skip "systemd does not boot here"
fi
[[ $(tail -n 1 "$work/said/out") == "done" ]] || { cat "$work/said/out" >&2; fail "see above"; }
printf 'under systemd: %s\n' "$(sed '$d' "$work/said/out" | paste -sd ';' | sed 's/;/; /g')"
