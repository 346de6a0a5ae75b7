#!/usr/bin/env bash
# Tries 50 times each way to guess the ports of a symmetric NAT in front of one that lets in only the port that it was
# told, and prints a Markdown table of how often that went well and how long it took: `make nat-spread`. Needs root.
# Arguments are passed on to `swift build` and `swift test`.
set -euo pipefail
cd "$(dirname "$0")/.."

table=$(mktemp)
trap 'rm -f "$table"' EXIT
swift build --build-tests "$@" >&2
RTUN_NAT_SPREAD=$table RTUN_NAT_SPREAD_TRIES=${RTUN_NAT_SPREAD_TRIES:-50} \
    swift test --skip-build "$@" --no-parallel --filter '^NATLabTests\.SpreadTests' >&2
cat "$table"
