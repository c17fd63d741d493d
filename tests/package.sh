# Sourced by deb.sh and booted.sh, which try the Debian package: makes it of the program that is built.
PATH=$PATH:/usr/sbin:/sbin

fail() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }
# skip WHY: `what` is the sentence's beginning, set by the script
skip() { printf '%s: %s\n' "${what:?}" "$*"; exit 0; }
needs() {
    local program
    ((EUID == 0)) || skip "that needs root"
    for program in "$@"; do
        command -v "$program" >/dev/null 2>&1 || skip "$program is missing"
    done
    command -v cargo-deb >/dev/null 2>&1 || skip "cargo-deb is missing (cargo install cargo-deb --locked)"
}

# make_package FOLDER: FOLDER/beacontail.deb, of the newest build. tests/run sets BEACONTAIL_DEB to a
# place that keeps the package for the next script.
make_package() {
    local target=${CARGO_TARGET_DIR:-target} program
    if [[ -n ${BEACONTAIL_DEB-} && -s $BEACONTAIL_DEB ]]; then
        cp "$BEACONTAIL_DEB" "$1/beacontail.deb"
        return
    fi
    program=$(ls -t "$target/release/beacontail" "$target/debug/beacontail" 2>/dev/null | head -n 1) || true
    [[ -n $program ]] || skip "no program is built yet (cargo build)"
    # Manual pages and completions are what this very program says of itself.
    rm -rf target/generated
    "$program" generate target/generated >"$1/made" || { cat "$1/made" >&2; fail "no manual pages came out"; }
    # cargo-deb packs release builds only, so it gets a target folder in which ours is one.
    mkdir -p "$1/target/release"
    cp "$program" "$1/target/release/beacontail"
    strip "$1/target/release/beacontail" 2>/dev/null || true
    CARGO_TARGET_DIR=$1/target cargo deb --no-build --no-strip --fast -o "$1/beacontail.deb" >"$1/made" 2>&1 ||
        { cat "$1/made" >&2; fail "no package came out"; }
    [[ -z ${BEACONTAIL_DEB-} ]] || cp "$1/beacontail.deb" "$BEACONTAIL_DEB"
}
