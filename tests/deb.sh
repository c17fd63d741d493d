#!/usr/bin/env bash
# The Debian package: made of the program that is already built (release before debug), then installed,
# upgraded, removed and purged in a folder of its own. dpkg runs the maintainer scripts outside a chroot with
# DPKG_ROOT set, so nothing of this machine is touched and nothing is started.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tests/package.sh
what="the package is not checked"
needs dpkg deb-systemd-helper systemd-sysusers systemd-tmpfiles
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
make_package "$work"

root=$work/root
mkdir -p "$root/var/lib/dpkg/updates" "$root/var/lib/dpkg/info" "$root/etc" "$root/tmp"
: >"$root/var/lib/dpkg/status"
: >"$root/var/lib/dpkg/available"
dpkg_there() {
    dpkg --root="$root" --force-script-chrootless --force-depends --log=/dev/null "$@" \
        >"$work/said" 2>&1 </dev/null || { cat "$work/said" >&2; fail "dpkg $1 failed"; }
}
there() { [[ -e $root/$1 || -L $root/$1 ]] || fail "$2: /$1 is missing"; }
gone() { [[ ! -e $root/$1 && ! -L $root/$1 ]] || fail "$2: /$1 is left"; }
wants=etc/systemd/system/multi-user.target.wants/beacontail.service

dpkg_there --install "$work/beacontail.deb"
for path in usr/bin/beacontail usr/lib/systemd/system/beacontail.service usr/lib/sysusers.d/beacontail.conf \
    usr/lib/systemd/system/beacontail-reports.service usr/share/doc/beacontail/reports.md \
    usr/lib/tmpfiles.d/beacontail.conf etc/beacontail/beacontail.toml usr/share/doc/beacontail/copyright \
    usr/share/doc/beacontail/operating.md usr/share/doc/beacontail/examples/logrotate/nginx \
    usr/share/doc/beacontail/examples/prometheus/beacontail.rules.yml \
    usr/share/doc/beacontail/examples/grafana/beacontail.json usr/share/man/man1/beacontail.1.gz \
    usr/share/man/man1/beacontail-parsers-new.1.gz usr/share/bash-completion/completions/beacontail \
    usr/share/zsh/vendor-completions/_beacontail usr/share/fish/vendor_completions.d/beacontail.fish "$wants"; do
    there "$path" "after the installation"
done
"$root/usr/bin/beacontail" --version >/dev/null || fail "the installed program does not run"
grep -q '^beacontail:' "$root/etc/passwd" || fail "no account"
account=$(sed -n 's/^beacontail:[^:]*:\([0-9]*\):.*/\1/p' "$root/etc/passwd")
[[ $(stat -c '%u %a' "$root/var/lib/beacontail") == "$account 750" ]] || fail "the state folder is not the account's, 0750"
[[ -z $(find "$root/usr" "$root/etc/beacontail" -perm /022 ! -type l) ]] || fail "something is writable for others"

# An upgrade keeps what the administrator did: settings, and the service disabled.
echo '# mine' >>"$root/etc/beacontail/beacontail.toml"
echo 'PASSWORD=x' >"$root/etc/beacontail/environment"
echo 'kept' >"$root/etc/beacontail/web.yml"
echo 'counts' >"$root/var/lib/beacontail/store.db"
rm "$root/$wants"
dpkg_there --install "$work/beacontail.deb"
gone "$wants" "after an upgrade of a disabled service"
grep -q '^# mine$' "$root/etc/beacontail/beacontail.toml" || fail "the upgrade took the administrator's settings"
there var/lib/beacontail/store.db "after an upgrade"

dpkg_there --remove beacontail
gone usr/bin/beacontail "after the removal"
gone usr/lib/systemd/system/beacontail.service "after the removal"
gone usr/share/man/man1/beacontail.1.gz "after the removal"
there etc/beacontail/beacontail.toml "after the removal"
[[ $(cat "$root/var/lib/beacontail/store.db") == counts ]] || fail "the removal took the store"

dpkg_there --install "$work/beacontail.deb"
[[ $(cat "$root/var/lib/beacontail/store.db") == counts ]] || fail "a new installation took the old store"
dpkg_there --purge beacontail
gone var/lib/beacontail "after the purge"
gone etc/beacontail/beacontail.toml "after the purge"
gone etc/beacontail/environment "after the purge"
there etc/beacontail/web.yml "after the purge"
[[ -z $(find "$root/etc/systemd" "$root/var/lib/systemd" -name 'beacontail*' 2>/dev/null) ]] || fail "the purge left links to the unit"

echo "the package installs, upgrades, keeps its state when removed, and is gone when purged"
