#!/usr/bin/env bash
# Prints what commit this source tree is, with "-dirty" behind it when files of it have been changed; nothing where git does not
# know.
set -euo pipefail
cd "$(dirname "$0")/.."

commit=$(git rev-parse --short=12 HEAD 2>/dev/null) || exit 0
[ -z "$(git status --porcelain --untracked-files=no)" ] || commit+=-dirty
echo "$commit"
