#!/bin/sh
# Installs what is missing for building on macOS, by Homebrew, and gathers in .build-macos the archives that programs are linked
# with. Says what it does, and nothing when all is there. `make setup` calls it there.
set -eu
cd "$(dirname "$0")/../.."

formulae='openssl@3 c-ares protobuf-c nettle gmp'
root=$PWD/.build-macos

fail() {
    echo "setup: $*" >&2
    exit 1
}

command -v brew >/dev/null || fail "needs Homebrew (brew.sh)"
command -v swift >/dev/null || fail "no swift on PATH; rtun needs Swift 6.2 or later (Xcode 26, or swift.org/install)"
missing=
for formula in pkgconf $formulae; do
    brew list --versions "$formula" >/dev/null 2>&1 || missing="$missing $formula"
done
if [ -n "$missing" ]; then
    echo "setup: installing$missing"
    # shellcheck disable=SC2086
    HOMEBREW_NO_AUTO_UPDATE=1 brew install --quiet $missing
fi

# What Package.swift says.
export MACOSX_DEPLOYMENT_TARGET=15.0
PKG_CONFIG_PATH=$root/lib/pkgconfig:$root/ngtcp2/lib/pkgconfig
export PKG_CONFIG_PATH

# Homebrew has GnuTLS without an archive. It knows where the source is, and its checksum.
brew fetch --quiet --build-from-source gnutls >/dev/null
gnutls_source=$(brew --cache --build-from-source gnutls)
[ -f "$gnutls_source" ] || fail "Homebrew has not fetched the source of GnuTLS"
gnutls_version=$(basename "$gnutls_source" | sed -E 's/.*gnutls-([0-9.]*[0-9]).*/\1/')

# shellcheck disable=SC2086
recipe=$( (cat packaging/macos/setup.sh && echo "$gnutls_version" && brew list --versions $formulae) | shasum -a 256)
if [ "$(cat "$root/recipe" 2>/dev/null)" != "$recipe" ]; then
    rm -rf "$root"
    mkdir -p "$root/include" "$root/lib/pkgconfig" "$root/licences"
    : >"$root/parts"

    # take FORMULA LICENCE ARCHIVE…: its headers, these archives and no other library, and its licence.
    take() {
        formula=$1
        licence=$2
        shift 2
        folder=$(brew --prefix "$formula")
        formula_version=$(brew list --versions "$formula" | sed 's/.* //')
        cp -R "$folder/include/." "$root/include/"
        for text in LICENSE LICENSE.txt LICENSE.md COPYING COPYING.LESSERv3; do
            if [ -f "$folder/$text" ]; then
                cp "$folder/$text" "$root/licences/$formula.txt"
                break
            fi
        done
        for archive; do
            [ -f "$folder/lib/$archive" ] || fail "$formula has no $archive"
            cp "$folder/lib/$archive" "$root/lib/"
            echo "$archive $formula $formula_version $licence" >>"$root/parts"
        done
    }
    take openssl@3 Apache-2.0 libssl.a libcrypto.a
    take c-ares MIT libcares.a
    take protobuf-c BSD-2-Clause libprotobuf-c.a
    take nettle 'LGPL-3.0-or-later OR GPL-2.0-or-later' libnettle.a libhogweed.a
    take gmp 'LGPL-3.0-or-later OR GPL-2.0-or-later' libgmp.a

    echo "setup: building GnuTLS $gnutls_version into $root"
    mkdir "$root/gnutls"
    tar -xf "$gnutls_source" -C "$root/gnutls" --strip-components=1
    # Names in certificates as they are written there: no libidn2. Nothing is loaded: no p11-kit.
    if ! (
        cd "$root/gnutls" &&
        ./configure --prefix="$root" --disable-shared --enable-static --with-pic --disable-dependency-tracking --disable-doc \
            --disable-tools --disable-tests --disable-cxx --disable-nls --without-p11-kit --without-idn --without-tpm \
            --without-tpm2 --without-zlib --without-brotli --without-zstd --with-included-libtasn1 --with-included-unistring \
            --with-default-trust-store-file=/etc/ssl/cert.pem NETTLE_CFLAGS="-I$root/include" \
            NETTLE_LIBS="-L$root/lib -lnettle" HOGWEED_CFLAGS="-I$root/include" \
            HOGWEED_LIBS="-L$root/lib -lhogweed -lnettle -lgmp" GMP_CFLAGS="-I$root/include" \
            GMP_LIBS="-L$root/lib -lgmp" &&
        make -j"$(getconf _NPROCESSORS_ONLN)" &&
        make install
    ) >"$root/log" 2>&1; then
        tail -n 30 "$root/log" >&2
        fail "GnuTLS could not be built"
    fi
    rm -f "$root"/lib/*.dylib "$root"/lib/*.la
    cp "$root/gnutls/LICENSE" "$root/licences/gnutls.txt"
    rm -rf "$root/gnutls"
    echo "libgnutls.a gnutls $gnutls_version LGPL-2.1-or-later" >>"$root/parts"

    # What SwiftPM asks pkg-config for, with what the archives stand on.
    pc() {
        printf 'Name: %s\nDescription: %s\nVersion: 0\nCflags: -I%s\nLibs: -L%s %s\n' "$1" "$1, an archive" \
            "$root/include" "$root/lib" "$2" >"$root/lib/pkgconfig/$1.pc"
    }
    pc openssl '-lssl -lcrypto'
    pc libcares '-lcares -lresolv -framework SystemConfiguration -framework CoreFoundation'
    echo "$recipe" >"$root/recipe"
fi

RTUN_NGTCP2_PREFIX=$root/ngtcp2 packaging/ngtcp2/build.sh
