#!/usr/bin/env bash
# The unit, its account and its folder, checked by systemd's own programs; systemd need not be running.
#
# `systemd-analyze verify` of systemd 252 exits 0 whatever it finds, and talks about other units too,
# so what counts is whether it names our file. Each check is shown to notice a spoilt copy first.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for program in systemd-analyze systemd-sysusers systemd-tmpfiles; do
    if ! command -v "$program" >/dev/null 2>&1; then
        echo "the unit is not checked: $program is missing (Debian's package systemd)"
        exit 0
    fi
done

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() { printf 'systemd.sh: %s\n' "$*" >&2; exit 1; }

# The program need not be installed where the unit is checked: a copy names one that is.
unit=$folder/beacontail.service
sed 's|^ExecStart=/usr/bin/beacontail |ExecStart=/bin/true |; /^Documentation=/d' systemd/beacontail.service >"$unit"
cmp -s "$unit" systemd/beacontail.service && fail "the unit has no ExecStart=/usr/bin/beacontail"

# complaints UNIT: what verify says about this file
complaints() { systemd-analyze verify "$1" 2>&1 | grep -F "${1##*/}" || true; }
# exposed UNIT: whether it is more exposed than 2.0
exposed() { ! systemd-analyze security --no-pager --offline=true --threshold=20 "$1" >"$folder/security" 2>&1; }

mkdir "$folder/spoilt"
spoilt=$folder/spoilt/beacontail.service
sed 's/^MemoryMax=/MemoryMost=/' "$unit" >"$spoilt"
[[ -n $(complaints "$spoilt") ]] || fail "verify would not notice an unknown key"
sed '/^CapabilityBoundingSet=$/d; /^ProtectSystem=/d; /^SystemCallFilter=/d; /^Private/d' "$unit" >"$spoilt"
exposed "$spoilt" || fail "security would not notice an open unit"

said=$(complaints "$unit")
[[ -z $said ]] || fail "verify: $said"
exposed "$unit" && { cat "$folder/security" >&2; fail "more exposed than 2.0"; }

# What other papers and the maintainer scripts rely on.
holds() { grep -qxF -- "$1" systemd/beacontail.service || fail "the unit lacks $1"; }
holds 'Type=notify'
holds 'ExecStart=/usr/bin/beacontail run -c /etc/beacontail/beacontail.toml'
holds 'RestartPreventExitStatus=2 3 4'
holds 'TimeoutStopSec=15'
holds 'User=beacontail'
holds 'StateDirectory=beacontail'

# The collector's unit, by the same measures.
reports=$folder/beacontail-reports.service
sed 's|^ExecStart=/usr/bin/beacontail |ExecStart=/bin/true |; /^Documentation=/d' systemd/beacontail-reports.service >"$reports"
cmp -s "$reports" systemd/beacontail-reports.service && fail "the collector's unit has no ExecStart=/usr/bin/beacontail"
said=$(complaints "$reports")
[[ -z $said ]] || fail "verify: $said"
exposed "$reports" && { cat "$folder/security" >&2; fail "the collector is more exposed than 2.0"; }
sed -n 's/.*Overall exposure level for [^:]*: \([0-9.]*\).*/the collector verifies; its exposure is \1/p' "$folder/security"
exposed "$unit" && fail "more exposed than 2.0"

root=$folder/root
mkdir -p "$root/etc"
systemd-sysusers --root="$root" "$PWD/systemd/beacontail.sysusers" 2>/dev/null || fail "sysusers refuses its file"
grep -q '^beacontail:.*:/usr/sbin/nologin$' "$root/etc/passwd" || fail "no account beacontail"
grep -q '^beacontail-reports:.*:/usr/sbin/nologin$' "$root/etc/passwd" || fail "no account beacontail-reports"
grep -q '^adm:.*beacontail' "$root/etc/group" || fail "beacontail is not in adm"
systemd-tmpfiles --root="$root" --create "$PWD/systemd/beacontail.tmpfiles" || fail "tmpfiles refuses its file"
made=$(stat -c %a "$root/var/lib/beacontail")
[[ $made == 750 ]] || fail "/var/lib/beacontail has mode $made, not 750"

sed -n 's/.*Overall exposure level for [^:]*: \([0-9.]*\).*/the unit verifies; its exposure is \1/p' "$folder/security"
