#!/usr/bin/env bash
# Builds and runs all tests: `make test`. Arguments are passed on to `swift build` and `swift test`.
# First the unit tests, in parallel; then those that start the real programs, one at a time, because they measure.
set -euo pipefail
cd "$(dirname "$0")/.."

swift build --build-tests "$@"
swift test --skip-build "$@" --skip '^(EndToEndTests|InteropTests|NATLabTests)\.'
swift test --skip-build "$@" --no-parallel --filter '^(EndToEndTests|InteropTests|NATLabTests)\.'
