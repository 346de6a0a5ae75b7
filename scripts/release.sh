#!/usr/bin/env bash
# Builds the named programs for shipping into dist/: optimised, Swift's runtime linked in, stripped, with checksums.
set -euo pipefail
cd "$(dirname "$0")/.."

RTUN_COMMIT=$(scripts/commit.sh)
export RTUN_COMMIT
flags=(-c release --static-swift-stdlib --scratch-path .build-release)
mkdir -p dist
for program in "$@"; do
    swift build "${flags[@]}" --product "$program"
    install -m 755 "$(swift build "${flags[@]}" --show-bin-path)/$program" "dist/$program"
    strip "dist/$program"
done
(cd dist && sha256sum "$@" >SHA256SUMS && ls -lh "$@")
