#!/usr/bin/env bash
# Makes what a release consists of out of the folders that `make dist` has filled, perhaps on several machines:
#
#   scripts/assets.sh OUT BASE-URL checksums|no-checksums FOLDER...
#
# OUT gets the files, install.sh, which then knows BASE-URL as the release's own address, and SHA256SUMS. With no-checksums, as
# nightly builds want it, there is no file of checksums, and no install.sh, which demands them.
set -euo pipefail
cd "${RTUN_ROOT:-$(dirname "$0")/..}"

[ $# -ge 4 ] || {
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 64
}
out=$1 base=$2 checksums=$3
shift 3
fail() {
    echo "assets: $*" >&2
    exit 1
}

mkdir -p "$out"
[ -z "$(ls -A "$out")" ] || fail "$out is not empty"
for folder in "$@"; do
    found=
    for file in "$folder"/rtun-*; do
        [ -f "$file" ] || continue
        name=${file##*/}
        [ ! -e "$out/$name" ] || fail "two folders have $name"
        # Not what was made elsewhere is trusted but what is written beside it, before anything is published.
        case $name in
        *.sha256) ;;
        *)
            [ -f "$file.sha256" ] || fail "$file has no .sha256 beside it"
            (cd "$folder" && sha256sum --check --quiet --strict "$name.sha256") || fail "$file is damaged"
            ;;
        esac
        case $checksums-$name in
        no-checksums-*.sha256) ;;
        checksums-* | no-checksums-*) cp "$file" "$out/$name" ;;
        *) fail "checksums or no-checksums, not $checksums" ;;
        esac
        found=1
    done
    [ -n "$found" ] || fail "$folder has no rtun-*"
done
if [ "$checksums" = checksums ]; then
    sed "s|^default_base_url=''\$|default_base_url='$base'|" install.sh >"$out/install.sh"
    grep -qxF "default_base_url='$base'" "$out/install.sh" || fail "install.sh has no place for its address"
    chmod 755 "$out/install.sh"
    (cd "$out" && sha256sum install.sh >install.sh.sha256 && cat ./*.sha256 | LC_ALL=C sort -k 2 >SHA256SUMS)
fi
chmod 755 "$out"/rtun-*-linux "$out"/rtun-*-apple-darwin 2>/dev/null || true
ls -l "$out"
