#!/usr/bin/env bash
# Makes the command `rtun` (packaging/front) with its version in it: scripts/front.sh FILE
set -euo pipefail

target=$1
cd "$(dirname "$0")/.." && root=$PWD && cd "$OLDPWD"
version=$(sed -n 's/.*static let version = "\(.*\)"/\1/p' "$root/Sources/Shared/CommandSupport/Process/Software.swift")
[ -n "$version" ] || { echo "front: Software.swift does not tell the version" >&2 && exit 1; }
mkdir -p "$(dirname "$target")"
sed "s/@VERSION@/$version/" "$root/packaging/front/rtun" >"$target"
chmod 755 "$target"
