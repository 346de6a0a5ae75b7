#!/usr/bin/env bash
# Builds programs for another processor than this machine's; scripts/dist.sh calls it: scripts/cross.sh TARGET PROGRAM...
#
# Swift's own toolchains bring nothing for another processor. Debian has the same version of Swift for both, and archives of all
# that is linked in. So: a Debian in a folder, with the compiler for this machine, libraries for the other one beside it as a second
# architecture of dpkg, and Swift's runtime for the other one in a folder of its own; and scripts/dist.sh in there. docs/building.md
# has more.
#
# Needs root, and 8 GB. The Debian stays in .build-cross-MACHINE, where the next build uses it; it is made anew when this script has
# changed, and after a `make clean`.
set -euo pipefail
cd "$(dirname "$0")/.."

name=dist
. scripts/debian-root.sh
target=$1
shift
programs=("$@")
case $(uname -m)-$target in
x86_64-aarch64-linux) architecture=arm64 ;;
*) fail "what is for $target can be built on a machine of that kind only, or on x86-64 for aarch64-linux" ;;
esac
# Older ones have a Swift that cannot read Package.swift.
suite=sid
machine=${target%-linux}
folder=$PWD/.build-cross-$machine
root=$folder/root
log=$folder/log
# Where Debian has Swift, and where the other machine's is in the root.
swift=/usr/libexec/swift
other=/opt/swift-$machine
# For the build itself: the compiler, what ngtcp2 and SwiftPM call, and this machine's headers, which Package.swift is compiled with.
tools=(swiftlang libswiftlang g++ libc6-dev git ca-certificates make patch pkgconf xz-utils python3 tzdata
    "binutils-$machine-linux-gnu")
# Linked in, for the other machine.
libraries=(libssl-dev libprotobuf-c-dev libgnutls28-dev libc-ares-dev libunistring-dev libidn2-dev libtasn1-6-dev nettle-dev
    libgmp-dev zlib1g-dev libzstd-dev)

inside() {
    chroot "$root" env -i HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        PATH="$swift/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" "$@"
}

install_tools() {
    inside dpkg --add-architecture "$architecture"
    inside apt-get update
    inside apt-get install -y --no-install-recommends "${tools[@]}"
    inside apt-get clean
}

# Of the same version as the compiler, because that reads no modules of others.
install_libraries() {
    local gcc version
    gcc=$(inside gcc -dumpversion)
    inside apt-get install -y --no-install-recommends "${libraries[@]/%/:$architecture}" \
        "libstdc++-${gcc%%.*}-dev:$architecture"
    version=$(inside dpkg-query --show --showformat='${Version}' swiftlang)
    inside sh -ec 'mkdir -p /tmp/swift && cd /tmp/swift && apt-get download "$1" && dpkg-deb --fsys-tarfile swiftlang_*.deb |
        tar --extract --directory "$2" "./$3/lib/swift_static" ./usr/share/doc/swiftlang
        rm -r /tmp/swift' - "swiftlang:$architecture=$version" "$(mkdir -p "$root$other" && echo "$other")" "${swift#/}"
    # Headers of the compiler itself.
    ln -sfn "$swift/lib/clang/$(inside sh -c "ls $swift/lib/clang")" "$root$other$swift/lib/swift_static/clang"
    inside apt-get clean
}

build_ngtcp2() {
    inside env CC="clang --target=$machine-linux-gnu" RTUN_NGTCP2_HOST="$machine-linux-gnu" \
        PKG_CONFIG_LIBDIR="/usr/lib/$machine-linux-gnu/pkgconfig:/usr/share/pkgconfig" "$PWD/packaging/ngtcp2/build.sh"
}

build() {
    local recipe
    recipe=$(cat scripts/cross.sh scripts/debian-root.sh | sha256sum)
    if [ "$(cat "$folder/recipe" 2>/dev/null)" != "$recipe" ]; then
        rm -rf --one-file-system "$folder"
        mkdir -p "$folder"
        make_root
    fi
    enter_root
    lend "$PWD"
    if [ ! -e "$folder/recipe" ]; then
        step "the compiler" install_tools
        step "libraries for $target" install_libraries
        echo "$recipe" >"$folder/recipe"
    fi
    step "ngtcp2" build_ngtcp2
    install -D -m 755 "$emulator" "$root/usr/local/bin/emulator"
    inside env TARGET="$target" RTUN_CROSS_RESOURCES="$other$swift/lib/swift_static" EMULATOR=/usr/local/bin/emulator \
        PKG_CONFIG_PATH="/usr/lib/$machine-linux-gnu/pkgconfig" "$PWD/scripts/dist.sh" "${programs[@]}"
}

[ "$(id -u)" -eq 0 ] || fail "needs root, to make a Debian with libraries for $target"
scripts/install-packages.sh dist debootstrap
emulator=$(scripts/emulator.sh "$target")
if [ "${RTUN_CROSS:-}" = in-namespaces ]; then
    build
    exit
fi
# In namespaces of its own: nothing stays mounted and nothing stays running, whatever ends this.
RTUN_CROSS=in-namespaces setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child \
    scripts/cross.sh "$target" "${programs[@]}"
