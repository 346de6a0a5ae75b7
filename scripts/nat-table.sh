#!/usr/bin/env bash
# Runs both clients between every two kinds of NAT, and prints a matrix for each, in Markdown, of the path that they found and
# how long that took, and below it what the paths carry: `make nat-table`. Needs root. Arguments are passed on to `swift build`
# and `swift test`.
set -euo pipefail
cd "$(dirname "$0")/.."

table=$(mktemp)
trap 'rm -f "$table"' EXIT
swift build --build-tests "$@" >&2
RTUN_NAT_TABLE=$table swift test --skip-build "$@" --no-parallel --filter '^NATLabTests\.MatrixTests' >&2
scripts/nat_table.py <"$table"
