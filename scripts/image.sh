#!/usr/bin/env bash
# Makes container images out of the static programs of `make dist`: scripts/image.sh PROGRAM..., `make image`. The program `rtun` is
# the command in front of the four, whose image has all of them. For rtun-server on x86-64:
#
#   dist/rtun-server-x86_64-linux.oci.tar         the image as an OCI archive
#   dist/rtun-server-x86_64-linux.docker.tar.gz   the same as `docker save` writes it, which keeps its health check; only for
#                                                 those that have one, which are all but rtun
#
# and for each a .sha256. TARGET=aarch64-linux makes those for another machine. Needs root, and no engine.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
    echo "image: $*" >&2
    exit 1
}

target=${TARGET:-$(uname -m)-linux}
case $target in
x86_64-linux) architecture=amd64 ;;
aarch64-linux) architecture=arm64 ;;
*) fail "there are no images for $target" ;;
esac
[ "$(id -u)" -eq 0 ] || fail "needs root"
parts=()
for program in "$@"; do
    if [ "$program" = rtun ]; then parts+=(rtun-server rtun-agent rtun-socks rtun-relay); else parts+=("$program"); fi
done
for program in "${parts[@]}"; do
    for file in "dist/$program-$target" "dist/$program-$target.tar.gz"; do
        [ -f "$file" ] || fail "$file is missing; make dist makes it"
    done
done
scripts/install-packages.sh image buildah ca-certificates

build=$PWD/.build-image
rm -rf "$build"
# The state of a server has an empty folder to begin with.
mkdir -p "$build/context/rtun-server-state"
version=$(scripts/version.sh)
commit=$(git rev-parse HEAD 2>/dev/null || echo unknown)
# The times in an image are the commit's, so that making it again makes the same.
epoch=${SOURCE_DATE_EPOCH:-$(git show -s --format=%ct HEAD 2>/dev/null || echo 0)}
export STORAGE_DRIVER=vfs REGISTRY_AUTH_FILE=/dev/null
# A store of its own, that nothing else uses.
buildah=(buildah --root "$build/store" --runroot "$build/run")

# A program with what belongs to it: add_program ROOT PROGRAM
add_program() {
    local root=$1 program=$2 name=$2-$target documents=$1/usr/share/doc/$2
    install -D -m 755 "dist/$name" "$root/usr/bin/$program"
    mkdir -p "$documents"
    tar --extract --gzip --file "dist/$name.tar.gz" --directory "$documents" --strip-components=1 --no-same-owner \
        --wildcards "$name/LICENSE" "$name/licences" "$name/*.spdx.json"
}

# The command `rtun`, all programs, and the shell of that machine's Debian: add_front ROOT
add_front() {
    local root=$1 program debian='' version busybox documents=$1/usr/share/doc/busybox
    for program in "${parts[@]}"; do add_program "$root" "$program"; done
    scripts/front.sh "$root/usr/bin/rtun"
    if [ "$target" = "$(uname -m)-linux" ]; then
        scripts/install-packages.sh image busybox-static
        version=$(dpkg-query --show --showformat='${source:Version}' busybox-static)
    else
        debian=$build/foreign
        version=$(scripts/foreign-package.sh "$architecture" busybox-static "$debian")
    fi
    busybox=$debian/bin/busybox
    [ -e "$busybox" ] || busybox=$debian/usr/bin/busybox
    install -D -m 755 "$busybox" "$root/bin/sh"
    install -D -m 644 "$debian/usr/share/doc/busybox-static/copyright" "$documents/copyright"
    # Under the GPL one may ask for it.
    echo "The source of this busybox is Debian's source package busybox, version ${version%+b[0-9]*}." >"$documents/source"
}

for program in "$@"; do
    name=$program-$target
    root=$build/context/$program
    install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
    if [ "$program" = rtun ]; then add_front "$root"; else add_program "$root" "$program"; fi
    chmod -R u=rwX,go=rX "$root"

    # In Docker's format, because OCI's has no place for health checks.
    log=$build/$program.log
    "${buildah[@]}" bud --isolation chroot --format docker --arch "$architecture" --timestamp "$epoch" \
        --build-arg VERSION="$version" --build-arg REVISION="$commit" --target "$program" \
        --tag "localhost/$program:latest" --file packaging/image/Containerfile "$build/context" >"$log" 2>&1 || {
        cat "$log" >&2
        fail "$program: buildah failed"
    }
    "${buildah[@]}" push --quiet "localhost/$program:latest" "oci:$build/$program:localhost/$program:latest"
    tar --create --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner --format=ustar \
        --file "dist/$name.oci.tar" --directory "$build/$program" .
    files=("$name.oci.tar")
    if "${buildah[@]}" inspect --format '{{.Docker.Config.Healthcheck}}' "localhost/$program:latest" | grep -q CMD; then
        "${buildah[@]}" push --quiet "localhost/$program:latest" \
            "docker-archive:$build/$program.tar:localhost/$program:latest"
        gzip -9n <"$build/$program.tar" >"dist/$name.docker.tar.gz"
        files+=("$name.docker.tar.gz")
    fi
    (
        cd dist
        for file in "${files[@]}"; do sha256sum "$file" >"$file.sha256"; done
        ls -lh "${files[@]}"
    )
done
rm -rf "$build"
