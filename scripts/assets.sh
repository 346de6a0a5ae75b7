#!/usr/bin/env bash
# Makes what a release consists of out of the folders that `make dist` has filled, perhaps on several machines:
#
#   scripts/assets.sh OUT BASE-URL checksums|no-checksums FOLDER...
#
# OUT gets the files, packages among them, install.sh, which then knows BASE-URL as the release's own address, and SHA256SUMS. With no-checksums, as
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
    # rtun_ is the package of the command `rtun`.
    for file in "$folder"/rtun-* "$folder"/rtun_*; do
        [ -f "$file" ] || continue
        name=${file##*/}
        # Not what was made elsewhere is trusted but what is written beside it, before anything is published.
        case $name in
        *.sha256) ;;
        *)
            [ -f "$file.sha256" ] || fail "$file has no .sha256 beside it"
            (cd "$folder" && sha256sum --check --quiet --strict "$name.sha256") || fail "$file is damaged"
            ;;
        esac
        found=1
        case $checksums-$name in
        no-checksums-*.sha256) continue ;;
        checksums-* | no-checksums-*) ;;
        *) fail "checksums or no-checksums, not $checksums" ;;
        esac
        # What is for all machines is made on each, and has to be the same.
        if [ -e "$out/$name" ]; then
            case $name in
            rtun_*_all.deb* | rtun-*.noarch.rpm*) cmp --quiet "$file" "$out/$name" || fail "two folders have $name, and they differ" ;;
            *) fail "two folders have $name" ;;
            esac
        fi
        cp "$file" "$out/$name"
    done
    [ -n "$found" ] || fail "$folder has no files of rtun"
done
if [ "$checksums" = checksums ]; then
    sed "s|^default_base_url=''\$|default_base_url='$base'|" install.sh >"$out/install.sh"
    grep -qxF "default_base_url='$base'" "$out/install.sh" || fail "install.sh has no place for its address"
    chmod 755 "$out/install.sh"
    (cd "$out" && sha256sum install.sh >install.sh.sha256 && cat ./*.sha256 | LC_ALL=C sort -k 2 >SHA256SUMS)
fi
chmod 755 "$out"/rtun-*-linux "$out"/rtun-*-apple-darwin 2>/dev/null || true
ls -l "$out"
