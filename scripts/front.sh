#!/usr/bin/env bash
# Makes the command `rtun` (packaging/front) with its version in it: scripts/front.sh FILE
set -euo pipefail

target=$1
cd "$(dirname "$0")/.." && root=$PWD && cd "$OLDPWD"
version=$("$root/scripts/version.sh")
mkdir -p "$(dirname "$target")"
sed "s/@VERSION@/$version/" "$root/packaging/front/rtun" >"$target"
chmod 755 "$target"
