#!/bin/sh
# Builds ngtcp2 with its GnuTLS helper from Debian's source package, or from its authors' release, as two static archives, with the
# changes that README.md beside this file explains, and installs them where rtun's build finds them: /usr/local/lib/rtun-ngtcp2, and
# rtun-ngtcp2.pc for pkg-config. Says what it does, and nothing when that has been done. Needs a C compiler, make, patch, xz, the
# headers of GnuTLS, and root for the installation (sudo is tried).
#
#   RTUN_NGTCP2_SOURCE=FILE     build from this ngtcp2-VERSION.tar.xz instead
#   RTUN_NGTCP2_HOST=TRIPLE     build for this machine, as configure takes it, by the CC that compiles for it
#   RTUN_NGTCP2_PREFIX=FOLDER   install there instead, rtun-ngtcp2.pc in its lib/pkgconfig; without sudo
set -eu
own_source=
if [ -n "${RTUN_NGTCP2_SOURCE:-}" ]; then
    own_source=$(cd "$(dirname "$RTUN_NGTCP2_SOURCE")" && pwd)/$(basename "$RTUN_NGTCP2_SOURCE")
fi
cd "$(dirname "$0")"
here=$PWD

# What the changes were written for and tried with. The checksum is that of the release of the ngtcp2 project, which Debian's
# source package contains unchanged.
version=1.24.0
checksum=7fa5ec2be0f0cbed8bc4ec89c0787dfa9d8ce678f1ed9477c52f30eb1a591207
# Where Debian has it: the suites are looked through in this order.
suites='forky sid trixie-backports'
prefix=${RTUN_NGTCP2_PREFIX:-/usr/local/lib/rtun-ngtcp2}
pc=/usr/local/lib/pkgconfig/rtun-ngtcp2.pc
[ -z "${RTUN_NGTCP2_PREFIX:-}" ] || pc=$prefix/lib/pkgconfig/rtun-ngtcp2.pc
# What GnuTLS stands on: found by the linker where GnuTLS is a shared library.
needed='-lgnutls'
[ "$(uname -s)" != Darwin ] ||
    needed='-lgnutls -lhogweed -lnettle -lgmp -liconv -framework Security -framework CoreFoundation'

fail() {
    printf 'setup: ngtcp2: %s\n' "$@" >&2
    exit 1
}

sha256() {
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1
}

# As root, unless it is one's own folder.
privileged() {
    if [ -n "${RTUN_NGTCP2_PREFIX:-}" ] || [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# The recipe: what is installed is built again when it changes. A source of one's own counts when it is given.
recipe=$( (cat build.sh additions.c ./*.patch && echo "${CFLAGS:-}${RTUN_NGTCP2_HOST:+ $RTUN_NGTCP2_HOST $CC}") | sha256)
own_recipe=
[ -z "$own_source" ] || own_recipe=$(sha256 <"$own_source")
installed=
installed_source=
if [ -f "$prefix/recipe" ]; then { read -r installed && read -r installed_source; } <"$prefix/recipe" || true; fi
if [ "$installed" = "$recipe" ] && [ -f "$pc" ] &&
    { [ -z "$own_recipe" ] || [ "$installed_source" = "$own_recipe" ]; }; then
    exit 0
fi
command -v patch >/dev/null || fail "needs the command patch"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$work/log"
: >"$work/others"
: >"$work/newer"

# apt with lists of its own, which it verifies by Debian's keys.
own_apt() {
    command=$1
    shift
    "$command" -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$work/lists" \
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o Acquire::Retries=3 -o APT::Sandbox::User=root \
        -o Dir::Etc::trusted="$keyring" -o Acquire::Languages=none "$@"
}

# Downloads the release from Debian's source package, by the mirror and the keyring that this machine has and an index that
# apt verifies; apt's own lists and sources stay as they are.
from_debian() {
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    command -v apt-get >/dev/null && [ -f "$keyring" ] || return 1
    url=$(../../scripts/debian-mirror.sh)
    [ -n "$url" ] || return 1
    mkdir -p "$work/lists/partial"
    for suite in $suites; do
        echo "deb-src [signed-by=$keyring] $url $suite main" >"$work/sources.list"
        own_apt apt-get update >"$work/log" 2>&1 || continue
        own_apt apt-get source --print-uris ngtcp2 2>>"$work/log" |
            grep -E "ngtcp2_[0-9.]+\.orig\.tar\.xz " >"$work/found" || continue
        read -r uri file _ hash <"$work/found"
        found=${file#ngtcp2_}
        found=${found%.orig.tar.xz}
        if [ "$found" != "$version" ]; then
            echo "$suite has $found" >>"$work/others"
            dpkg --compare-versions "$found" gt "$version" || continue
            echo "$uri $hash $found" >"$work/newer"
            continue
        fi
        fetch "$uri" "SHA256:$checksum" && return
    done
    return 1
}

# Debian has moved on, and nobody else answers. The changes are small: they may fit, and then the tests tell.
from_newer_debian() {
    [ -s "$work/newer" ] || return 1
    read -r uri hash found <"$work/newer"
    fetch "$uri" "$hash" || return 1
    echo "setup: ngtcp2 $version is what rtun is tried with; Debian has $found now, which is taken instead"
    version=$found
}

# apt checks the hash.
fetch() {
    uri=${1#\'}
    (cd "$work" && /usr/lib/apt/apt-helper -o Acquire::Retries=3 -o APT::Sandbox::User=root download-file \
        "${uri%\'}" source.tar.xz "$2" >>"$work/log" 2>&1)
}

# The same file as its authors publish it.
from_authors() {
    url=https://github.com/ngtcp2/ngtcp2/releases/download/v$version/ngtcp2-$version.tar.xz
    command -v curl >/dev/null || return 1
    curl -fsSL --retry 3 -o "$work/source.tar.xz" "$url" 2>>"$work/log" &&
        [ "$(sha256 <"$work/source.tar.xz")" = "$checksum" ]
}

echo "setup: building ngtcp2 into $prefix"
if [ -n "$own_source" ]; then
    cp "$own_source" "$work/source.tar.xz"
elif ! from_debian && ! from_authors && ! from_newer_debian; then
    cat "$work/log" >&2 || true
    others=$(paste -s -d ' ' "$work/others")
    fail "found version $version neither in Debian's suites ($suites${others:+: $others}) nor at github.com/ngtcp2." \
        "Fetch ngtcp2-$version.tar.xz (SHA-256 $checksum) and run: RTUN_NGTCP2_SOURCE=/path/to/it make setup"
fi
mkdir "$work/source"
tar -xf "$work/source.tar.xz" -C "$work/source" --strip-components=1
for patch in "$here"/*.patch; do
    # -t, -N, -s: ask nothing, go no step back, say nothing. BSD has no long names for them.
    patch -d "$work/source" -p1 -t -N -s <"$patch" ||
        fail "$(basename "$patch") does not fit version $version"
done
cat additions.c >>"$work/source/lib/ngtcp2_conn.c"
if ! (
    cd "$work/source" &&
    ./configure ${RTUN_NGTCP2_HOST:+"--host=$RTUN_NGTCP2_HOST"} --enable-lib-only --with-gnutls --without-openssl --disable-shared --enable-static --with-pic \
        --prefix="$prefix" CFLAGS="${CFLAGS:--O2 -g -fno-omit-frame-pointer}" &&
    make -j"$(getconf _NPROCESSORS_ONLN)" &&
    make install DESTDIR="$work/root"
) >"$work/log" 2>&1; then
    tail -n 30 "$work/log" >&2
    fail "could not be built"
fi
# Names of their own, so that no other ngtcp2 on the machine is taken for it.
mkdir -p "$work/out/lib"
cp "$work/root$prefix/lib/libngtcp2.a" "$work/out/lib/librtun_ngtcp2.a"
cp "$work/root$prefix/lib/libngtcp2_crypto_gnutls.a" "$work/out/lib/librtun_ngtcp2_crypto_gnutls.a"
cp -R "$work/root$prefix/include" "$work/source/COPYING" "$work/out/"
cat >"$work/rtun-ngtcp2.pc" <<PC
prefix=$prefix

Name: rtun-ngtcp2
Description: ngtcp2 and its GnuTLS helper as rtun builds them
Version: $version
Requires.private: gnutls
Cflags: -I\${prefix}/include
Libs: -L\${prefix}/lib -lrtun_ngtcp2_crypto_gnutls -lrtun_ngtcp2 $needed
PC
privileged rm -rf "$prefix"
privileged mkdir -p "$prefix"
privileged cp -R "$work/out/." "$prefix"
privileged chmod -R a+rX "$prefix"
privileged mkdir -p "$(dirname "$pc")"
privileged install -m 644 "$work/rtun-ngtcp2.pc" "$pc"
# Last, so that an installation that was broken off is not taken for one.
printf '%s\n%s\n' "$recipe" "${own_recipe:-released}" >"$work/recipe"
privileged install -m 644 "$work/recipe" "$prefix/recipe"
