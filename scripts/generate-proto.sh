#!/bin/sh
# Regenerates Sources/Shared/CAppProto from proto/app.proto.
#
#   scripts/generate-proto.sh           write the files
#   scripts/generate-proto.sh --check   exit 1 when the committed files differ from what the schema gives
#
# Needs protoc-c (Debian: protobuf-c-compiler 1.4.1, libprotobuf-c-dev).
set -eu

cd "$(dirname "$0")/.."
module=Sources/Shared/CAppProto

case "${1:-}" in
'' | --check) ;;
*)
    echo "usage: $0 [--check]" >&2
    exit 64
    ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

protoc-c --proto_path=proto --c_out="$work" proto/app.proto
mkdir -p "$work/module/include"
mv "$work/app.pb-c.h" "$work/module/include/app.pb-c.h"
mv "$work/app.pb-c.c" "$work/module/app.pb-c.c"
cat >"$work/module/include/module.modulemap" <<'MODULE'
module CAppProto {
    header "app.pb-c.h"
    export *
}
MODULE

if [ "${1:-}" = --check ]; then
    if ! diff -ru "$module" "$work/module"; then
        echo "$module is stale: run scripts/generate-proto.sh and commit the result" >&2
        exit 1
    fi
else
    rm -rf "$module"
    mkdir -p "$module"
    cp -R "$work/module/." "$module/"
fi
