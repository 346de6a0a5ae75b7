#!/usr/bin/env bash
# Builds ngtcp2 with its GnuTLS helper from Debian's source package as two static archives, with the changes that README.md
# beside this file explains, and installs them where rtun's build finds them: /usr/local/lib/rtun-ngtcp2, and rtun-ngtcp2.pc
# for pkg-config. Says what it does, and nothing when that has been done. Needs a C compiler, make, xz-utils and the headers
# of GnuTLS, and root for the installation (sudo is tried).
#
#   RTUN_NGTCP2_SOURCE=FILE   build from this ngtcp2-VERSION.tar.xz instead
#   RTUN_NGTCP2_HOST=TRIPLE   build for this machine, as configure takes it, by the CC that compiles for it
set -euo pipefail
own_source=${RTUN_NGTCP2_SOURCE:+$(realpath "$RTUN_NGTCP2_SOURCE")}
cd "$(dirname "$0")"

# What the changes were written for and tried with. The checksum is that of the release of the ngtcp2 project, which Debian's
# source package contains unchanged.
version=1.24.0
checksum=7fa5ec2be0f0cbed8bc4ec89c0787dfa9d8ce678f1ed9477c52f30eb1a591207
# Where Debian has it: the suites are looked through in this order.
suites=(forky sid trixie-backports)
prefix=/usr/local/lib/rtun-ngtcp2
pc=/usr/local/lib/pkgconfig/rtun-ngtcp2.pc

fail() {
    printf 'setup: ngtcp2: %s\n' "$@" >&2
    exit 1
}

# The recipe: what is installed is built again when it changes. A source of one's own counts when it is given.
recipe=$( (cat build.sh additions.c ./*.patch && echo "${CFLAGS:-}${RTUN_NGTCP2_HOST:+ $RTUN_NGTCP2_HOST $CC}") | sha256sum | cut -d' ' -f1)
own_recipe=${own_source:+$(sha256sum <"$own_source" | cut -d' ' -f1)}
{ read -r installed && read -r installed_source; } 2>/dev/null <"$prefix/recipe" || true
if [ "${installed:-}" = "$recipe" ] && [ -f "$pc" ] &&
    { [ -z "$own_recipe" ] || [ "${installed_source:-}" = "$own_recipe" ]; }; then
    exit 0
fi
command -v patch >/dev/null || fail "needs the command patch"

sudo=()
if [ "$(id -u)" -ne 0 ]; then sudo=(sudo); fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Downloads the release from Debian's source package, by the mirror and the keyring that this machine has and an index that
# apt verifies; apt's own lists and sources stay as they are.
from_debian() {
    local url keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    url=$(../../scripts/debian-mirror.sh)
    [ -n "$url" ] && [ -f "$keyring" ] || return 1
    local apt=(-o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$work/lists"
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o Acquire::Retries=3 -o APT::Sandbox::User=root
        -o Dir::Etc::trusted="$keyring" -o Acquire::Languages=none)
    mkdir -p "$work/lists/partial"
    local suite line
    for suite in "${suites[@]}"; do
        echo "deb-src [signed-by=$keyring] $url $suite main" >"$work/sources.list"
        apt-get "${apt[@]}" update >"$work/log" 2>&1 || continue
        line=$(apt-get "${apt[@]}" source --print-uris ngtcp2 2>>"$work/log" | grep -E "ngtcp2_[0-9.]+\.orig\.tar\.xz " ||
            true)
        [ -n "$line" ] || continue
        local uri file hash
        read -r uri file _ hash <<<"$line"
        local found=${file#ngtcp2_}
        found=${found%.orig.tar.xz}
        if [ "$found" != "$version" ]; then
            others+=("$suite has $found")
            dpkg --compare-versions "$found" gt "$version" || continue
            newer="$uri $hash $found"
            continue
        fi
        fetch "$uri" "SHA256:$checksum" && return
    done
    return 1
}

# Debian has moved on, and nobody else answers. The changes are small: they may fit, and then the tests tell.
from_newer_debian() {
    [ -n "$newer" ] || return 1
    local uri hash found
    read -r uri hash found <<<"$newer"
    fetch "$uri" "$hash" || return 1
    echo "setup: ngtcp2 $version is what rtun is tried with; Debian has $found now, which is taken instead"
    version=$found
}

# apt checks the hash.
fetch() {
    (cd "$work" && /usr/lib/apt/apt-helper -o Acquire::Retries=3 -o APT::Sandbox::User=root download-file \
        "${1//\'/}" source.tar.xz "$2" >>"$work/log" 2>&1)
}

# The same file as its authors publish it.
from_authors() {
    local url=https://github.com/ngtcp2/ngtcp2/releases/download/v$version/ngtcp2-$version.tar.xz
    command -v curl >/dev/null || return 1
    curl -fsSL --retry 3 -o "$work/source.tar.xz" "$url" 2>>"$work/log" &&
        echo "$checksum  $work/source.tar.xz" | sha256sum --check --status
}

others=()
newer=
echo "setup: building ngtcp2 into $prefix"
if [ -n "$own_source" ]; then
    cp "$own_source" "$work/source.tar.xz"
elif ! from_debian && ! from_authors && ! from_newer_debian; then
    cat "$work/log" >&2 || true
    fail "found version $version neither in Debian's suites (${suites[*]}${others[*]:+: ${others[*]}}) nor at github.com/ngtcp2." \
        "Fetch ngtcp2-$version.tar.xz (SHA-256 $checksum) and run: RTUN_NGTCP2_SOURCE=/path/to/it make setup"
fi
mkdir "$work/source"
tar -xf "$work/source.tar.xz" -C "$work/source" --strip-components=1
for patch in "$PWD"/*.patch; do
    patch -d "$work/source" -p1 --batch --forward --no-backup-if-mismatch -s <"$patch" ||
        fail "$(basename "$patch") does not fit version $version"
done
cat additions.c >>"$work/source/lib/ngtcp2_conn.c"
if ! (
    cd "$work/source" &&
    ./configure ${RTUN_NGTCP2_HOST:+"--host=$RTUN_NGTCP2_HOST"} --enable-lib-only --with-gnutls --without-openssl \
        --disable-shared --enable-static --with-pic --prefix="$prefix" CFLAGS="${CFLAGS:--O2 -g -fno-omit-frame-pointer}" &&
    make -j"$(nproc)" &&
    make install DESTDIR="$work/root"
) >"$work/log" 2>&1; then
    tail -n 30 "$work/log" >&2
    fail "could not be built"
fi
# Names of their own, so that no other ngtcp2 on the machine is taken for it.
mkdir -p "$work/out/lib"
cp "$work/root$prefix/lib/libngtcp2.a" "$work/out/lib/librtun_ngtcp2.a"
cp "$work/root$prefix/lib/libngtcp2_crypto_gnutls.a" "$work/out/lib/librtun_ngtcp2_crypto_gnutls.a"
cp -r "$work/root$prefix/include" "$work/source/COPYING" "$work/out/"
cat >"$work/rtun-ngtcp2.pc" <<PC
prefix=$prefix

Name: rtun-ngtcp2
Description: ngtcp2 and its GnuTLS helper as rtun builds them
Version: $version
Requires.private: gnutls
Cflags: -I\${prefix}/include
Libs: -L\${prefix}/lib -lrtun_ngtcp2_crypto_gnutls -lrtun_ngtcp2 -lgnutls
PC
"${sudo[@]}" rm -rf "$prefix"
"${sudo[@]}" mkdir -p "$prefix" "$(dirname "$pc")"
"${sudo[@]}" cp -r "$work/out/." "$prefix"
"${sudo[@]}" chmod -R a+rX "$prefix"
"${sudo[@]}" install -m 644 "$work/rtun-ngtcp2.pc" "$pc"
# Last, so that an installation that was broken off is not taken for one.
printf '%s\n%s\n' "$recipe" "${own_recipe:-released}" >"$work/recipe"
"${sudo[@]}" install -m 644 "$work/recipe" "$prefix/recipe"
