#!/bin/sh
# Builds the named programs for macOS into dist/, as scripts/dist.sh does for Linux: stripped, linked with archives but for what is a
# part of every macOS. `make dist` calls it there, after packaging/macos/setup.sh.
set -eu
cd "$(dirname "$0")/../.."

architecture=$(uname -m)
[ "$architecture" != arm64 ] || architecture=aarch64
target=$architecture-apple-darwin
if [ "${TARGET:-$target}" != "$target" ]; then
    echo "dist: this machine builds for $target only" >&2
    exit 1
fi
root=$PWD/.build-macos
build=.build-dist
version=$(scripts/version.sh)
commit=$(scripts/commit.sh)
commit=${commit:-unknown}
epoch=${SOURCE_DATE_EPOCH:-$(git show -s --format=%ct HEAD 2>/dev/null || echo 0)}

export RTUN_COMMIT="$commit" PKG_CONFIG_PATH="$root/lib/pkgconfig:$root/ngtcp2/lib/pkgconfig"
mkdir -p dist
for program; do
    name=$program-$target
    map=$PWD/$build/$program.map
    set -- -c release --scratch-path "$build" -Xcc "-I$root/include" -Xlinker "-L$root/lib" -Xlinker -dead_strip \
        -Xlinker -map -Xlinker "$map"
    mkdir -p "$build"
    bin=$(swift build "$@" --show-bin-path)
    # The map is written by the linker.
    rm -f "$bin/$program"
    swift build "$@" --product "$program"

    rm -f "dist/$name" "dist/$name".*
    cp "$bin/$program" "dist/$name"
    strip "dist/$name"
    codesign --force --sign - "dist/$name"
    if otool -L "dist/$name" | tail -n +2 | grep -vE '^[[:space:]]*(/usr/lib/|/System/Library/)'; then
        echo "dist: dist/$name needs these libraries, which not every macOS has" >&2
        exit 1
    fi

    folder=$build/archive/$name
    rm -rf "$folder"
    mkdir -p "$folder/licences"
    cp "dist/$name" "$folder/$program"
    scripts/spdx.py "$program" "$map" "$build" "$version" "$commit" "$epoch" "$target" "dist/$name.spdx.json" "$folder/licences"
    cp "dist/$name.spdx.json" "$folder/$program.spdx.json"
    cp README.md README.zh-CN.md LICENSE "$folder"
    SOURCE_DATE_EPOCH=$epoch scripts/program_files.py "$folder/$program" "$folder"
    rm "$folder/$program.service"
    chmod -R u=rwX,go=rX "$folder"
    COPYFILE_DISABLE=1 tar -c -f - --format ustar --uid 0 --gid 0 --numeric-owner -C "$build/archive" "$name" |
        gzip -9n >"dist/$name.tar.gz"
    (
        cd dist
        for file in "$name" "$name.spdx.json" "$name.tar.gz"; do shasum -a 256 "$file" >"$file.sha256"; done
        ls -lh "$name" "$name.tar.gz"
    )
done
scripts/front.sh "dist/rtun-$target"
(cd dist && shasum -a 256 "rtun-$target" >"rtun-$target.sha256")
