#!/usr/bin/env bash
# Prints the version of all programs, which is written in one place, or with a version writes that one there and gives its name
# to what CHANGELOG.md has under "Unreleased": scripts/version.sh [VERSION], `make version`, `make version VERSION=0.2.0`.
set -euo pipefail
# Another source tree, for the test.
cd "${RTUN_ROOT:-$(dirname "$0")/..}"

file=Sources/Shared/CommandSupport/Process/Software.swift
version=$(sed -n 's/.*static let version = "\(.*\)"/\1/p' "$file")
new=${1:-}
if [ -z "$new" ]; then
    echo "$version"
    exit 0
fi

if [[ ! $new =~ ^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$ ]]; then
    echo "version: \"$new\" is not of the form 1.2.3" >&2
    exit 64
fi
if [ "$new" = "$version" ] || [ "$(printf '%s\n' "$version" "$new" | sort -V | tail -n 1)" != "$new" ]; then
    echo "version: $new is not above $version" >&2
    exit 64
fi
if ! scripts/release-notes.sh Unreleased >/dev/null; then
    echo "version: CHANGELOG.md has nothing under \"Unreleased\" that $new would bring" >&2
    exit 1
fi
sed -i "s/\(static let version = \)\".*\"/\1\"$new\"/" "$file"
sed -i "s/^## \[Unreleased\]$/## [Unreleased]\n\n## [$new] - $(date -u +%Y-%m-%d)/" CHANGELOG.md
echo "$new"
