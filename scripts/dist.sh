#!/usr/bin/env bash
# Builds the named programs, all if none are named, for machines that have nothing but a Linux kernel: statically linked and
# stripped executables in dist/ (`make dist`). For rtun-agent on this machine's kind, for example:
#
#   rtun-agent-x86_64-linux             the program
#   rtun-agent-x86_64-linux.spdx.json   what is linked into it, with versions and licences
#   rtun-agent-x86_64-linux.tar.gz      both, README, licence, the licences of what is linked in, manual page, completions, unit
#                                       and example configuration
#   rtun-x86_64-linux                   the command `rtun`, a shell script in front of the programs
#
# and for each of them a `.sha256` that `sha256sum -c` checks. TARGET=aarch64-linux builds for that kind of machine, on another kind
# by scripts/cross.sh. docs/building.md has more.
set -euo pipefail
cd "$(dirname "$0")/.."

programs=("$@")
[ ${#programs[@]} -gt 0 ] || programs=(rtun-server rtun-agent rtun-socks rtun-relay)
[ "$(uname -s)" != Darwin ] || exec packaging/macos/dist.sh "${programs[@]}"
target=${TARGET:-$(uname -m)-linux}
build=.build-dist
strip=(strip -o)
# What the compiler is told, where that is another machine than this.
machine=()
if [ -n "${RTUN_CROSS_RESOURCES:-}" ]; then
    # In the Debian that scripts/cross.sh has made, which has what this takes, and Swift's runtime for that machine there.
    machine=(-target "${target%-linux}-unknown-linux-gnu" -resource-dir "$RTUN_CROSS_RESOURCES")
    build=$build-${target%-linux}
    # Swift's own: binutils' complains of what lld writes for ARM.
    strip=(strip_by_llvm)
elif [ "$target" != "$(uname -m)-linux" ]; then
    exec scripts/cross.sh "$target" "${programs[@]}"
else
    # The archives that GnuTLS stands on, and OpenSSL of Debian 13, besides those that building needs anyway.
    scripts/install-packages.sh dist libunistring-dev libidn2-dev libtasn1-6-dev nettle-dev libgmp-dev zlib1g-dev libzstd-dev \
        binutils python3
fi

commit=$(scripts/commit.sh)
commit=${commit:-unknown}
# Times in what is made are the commit's, so that making it again makes the same.
epoch=${SOURCE_DATE_EPOCH:-$(git show -s --format=%ct HEAD 2>/dev/null || echo 0)}
version=$(scripts/version.sh)

small=$PWD/$build/SmallFoundation
if [ ! -e "$small/libSmallFoundation.a" ] ||
    [ Sources/Static/SmallFoundation/SmallFoundation.swift -nt "$small/libSmallFoundation.a" ]; then
    mkdir -p "$small"
    (cd "$small" && swiftc "${machine[@]}" -O -wmo -parse-as-library -swift-version 6 -static -static-executable \
        -Xfrontend -function-sections -module-name SmallFoundation -module-link-name SmallFoundation -emit-module \
        -emit-library -o libSmallFoundation.a ../../Sources/Static/SmallFoundation/*.swift)
fi

export RTUN_STATIC=1 RTUN_COMMIT=$commit
flags=(
    -c release --scratch-path "$build" -Xswiftc -static-executable -Xswiftc -Xfrontend -Xswiftc -function-sections
    # In place of Foundation, for the little that ArgumentParser needs of it.
    -Xswiftc -module-alias -Xswiftc FoundationEssentials=SmallFoundation
    -Xswiftc -I -Xswiftc "$small" -Xlinker "-L$small"
    # What links: Swift's own lld, without what a program does not need.
    -Xswiftc "-ld-path=$PWD/scripts/dist-link.py"
    # C names its files in messages.
    -Xcc "-ffile-prefix-map=$PWD/="
)
for word in "${machine[@]}"; do flags+=(-Xswiftc "$word"); done
[ ${#machine[@]} -eq 0 ] || flags+=(--triple "${machine[1]}")

# SwiftPM does not compile everything anew when only options of the compiler have changed.
if [ "$(cat "$build/flags" 2>/dev/null)" != "${flags[*]}" ]; then
    rm -rf "$build"/*-linux-gnu
    echo "${flags[*]}" >"$build/flags"
fi

strip_by_llvm() {
    llvm-objcopy --strip-all "$2" "$1"
}

# More for a program's archive, into its folder: manual pages, completions, units and examples belong here.
add_documents() {
    local program=$1 folder=$2
    cp README.md README.zh-CN.md LICENSE "$folder"
    SOURCE_DATE_EPOCH=$epoch scripts/program_files.py "$folder/$program" "$folder"
}

mkdir -p dist
bin=$(swift build "${flags[@]}" --show-bin-path)
for program in "${programs[@]}"; do
    built=$bin/$program
    # SwiftPM does not know when the linker's script has changed.
    rm -f "$built"
    swift build "${flags[@]}" --product "$program"
    name=$program-$target
    rm -f "dist/$name" "dist/$name".*
    "${strip[@]}" "dist/$name" "$built"
    chmod 755 "dist/$name"
    if readelf --program-headers "dist/$name" | grep -qE 'INTERP|DYNAMIC'; then
        echo "dist: dist/$name needs libraries of the machine" >&2
        exit 1
    fi

    folder=$build/archive/$name
    rm -rf "$folder"
    mkdir -p "$folder/licences"
    cp "dist/$name" "$folder/$program"
    scripts/spdx.py "$program" "$built.map" "$build" "$version" "$commit" "$epoch" "$target" \
        "dist/$name.spdx.json" "$folder/licences"
    cp "dist/$name.spdx.json" "$folder/$program.spdx.json"
    add_documents "$program" "$folder"
    chmod -R u=rwX,go=rX "$folder"
    tar --create --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner --format=ustar \
        --directory="$build/archive" "$name" | gzip -9n >"dist/$name.tar.gz"
    (
        cd dist
        for file in "$name" "$name.spdx.json" "$name.tar.gz"; do sha256sum "$file" >"$file.sha256"; done
        ls -lh "$name" "$name.tar.gz"
    )
done
scripts/front.sh "dist/rtun-$target"
(cd dist && sha256sum "rtun-$target" >"rtun-$target.sha256")
