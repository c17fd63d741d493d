#!/usr/bin/env bash
# Manual pages and completions, as the shells and man(1) of this machine take them. A program that is missing is
# left out with a word; mandoc's errors are failures, its warnings are counted.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
fail() { printf 'man.sh: %s\n' "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1 || { echo "man.sh: $1 is missing, $2 not checked"; return 1; }; }

target=${CARGO_TARGET_DIR:-target}
program=$(ls -t "$target/release/beacontail" "$target/debug/beacontail" 2>/dev/null | head -n 1) || true
[[ -n $program ]] || fail "no program is built yet (cargo build)"
program=$(realpath "$program")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$program" generate "$work/one" >/dev/null
(cd / && env -i TZ=Asia/Tokyo LC_ALL=C "$program" generate "$work/two" >/dev/null)
diff -r "$work/one" "$work/two" || fail "the same program wrote two texts"
pages=("$work"/one/man/*.1)
echo "${#pages[@]} pages"

# Every command that --help shows has a page.
commands() { "$program" "$@" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\)  .*/\1/p' | grep -v '^help$'; }
for command in $(commands); do
    [[ -s $work/one/man/beacontail-$command.1 ]] || fail "no page for $command"
done
for command in $(commands parsers); do
    [[ -s $work/one/man/beacontail-parsers-$command.1 ]] || fail "no page for parsers $command"
done

if has mandoc "their roff"; then
    mandoc -Tlint -Werror "${pages[@]}" || fail "mandoc finds errors"
    echo "mandoc: no errors, $(mandoc -Tlint -Wwarning "${pages[@]}" | wc -l) warnings"
    for page in "${pages[@]}"; do
        text=$(mandoc -Tutf8 "$page" | col -b 2>/dev/null || mandoc -Tascii "$page")
        for section in NAME SYNOPSIS "EXIT STATUS" EXAMPLES "SEE ALSO"; do
            grep -q "^$section" <<<"$text" || fail "${page##*/} has no $section"
        done
    done
fi
if has man "rendering"; then
    for page in "${pages[@]}"; do
        MANWIDTH=80 man --warnings -l "$page" >"$work/shown" 2>"$work/said" || fail "man does not show ${page##*/}"
        [[ -s $work/shown ]] || fail "man shows nothing of ${page##*/}"
        ! grep -i 'error' "$work/said" || fail "groff finds errors in ${page##*/}"
    done
fi

# completed WORD...: what bash offers for the last of the words
completed() {
    bash --norc -c '
        source "$1"; shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE}
        _beacontail beacontail "${*: -1}" "${*: -2:1}"
        printf "%s\n" "${COMPREPLY[@]}"' bash "$work/one/completions/bash/beacontail" "$@" 2>&1
}
[[ $(completed beacontail par) == parsers ]] || fail "bash does not complete \`par\`: $(completed beacontail par)"
completed beacontail parsers n | grep -qx new || fail "bash does not complete \`parsers n\`"
completed beacontail init --r | grep -qx -- --root || fail "bash does not complete \`init --r\`"
! completed beacontail gen | grep -q generate || fail "bash offers what is for packaging"
has zsh "its completion" && { zsh -n "$work/one/completions/zsh/_beacontail" || fail "zsh does not take its completion"; }
has fish "its completion" && { fish --no-execute "$work/one/completions/fish/beacontail.fish" || fail "fish does not take its completion"; }
has elvish "its completion" && { elvish -compileonly "$work/one/completions/elvish/beacontail.elv" || fail "elvish does not take its completion"; }
echo "completions: bash completes commands, commands below them and options"
