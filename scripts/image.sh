#!/usr/bin/env bash
# Makes container images out of the static programs of `make dist`: scripts/image.sh PROGRAM..., `make image`. For rtun-server on
# x86-64:
#
#   dist/rtun-server-x86_64-linux.oci.tar         the image as an OCI archive
#   dist/rtun-server-x86_64-linux.docker.tar.gz   the same as `docker save` writes it, which keeps its health check; only for
#                                                 programs that have one
#
# and for each a .sha256. Needs root, and no engine.
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
for program in "$@"; do
    for file in "dist/$program-$target" "dist/$program-$target.tar.gz"; do
        [ -f "$file" ] || fail "$file is missing; make dist makes it"
    done
done
scripts/install-packages.sh image buildah ca-certificates

build=$PWD/.build-image
rm -rf "$build"
mkdir -p "$build/context"
version=$(scripts/version.sh)
commit=$(git rev-parse HEAD 2>/dev/null || echo unknown)
# The times in an image are the commit's, so that making it again makes the same.
epoch=${SOURCE_DATE_EPOCH:-$(git show -s --format=%ct HEAD 2>/dev/null || echo 0)}
export STORAGE_DRIVER=vfs REGISTRY_AUTH_FILE=/dev/null
# A store of its own, that nothing else uses.
buildah=(buildah --root "$build/store" --runroot "$build/run")

for program in "$@"; do
    name=$program-$target
    root=$build/context/$program
    install -D -m 755 "dist/$name" "$root/usr/bin/$program"
    install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
    documents=$root/usr/share/doc/$program
    mkdir -p "$documents"
    tar --extract --gzip --file "dist/$name.tar.gz" --directory "$documents" --strip-components=1 --no-same-owner \
        --wildcards "$name/LICENSE" "$name/licences" "$name/*.spdx.json"
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
