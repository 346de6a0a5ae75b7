#!/usr/bin/env bash
# Builds and runs all tests: `make test`. Arguments are passed on to `swift build` and `swift test`.
# First the unit tests, some at a time; then those that start the real programs, one at a time, because they measure; then those in
# the NAT lab, two at a time: each has a network of its own, and waits most of the time.
set -euo pipefail
cd "$(dirname "$0")/.."

swift build --build-tests "$@"
# All at once they would wait for each other so long that what they measure means nothing.
SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=4 \
    swift test --skip-build "$@" --skip '^(EndToEndTests|InteropTests|NATLabTests)\.'
swift test --skip-build "$@" --no-parallel --filter '^(EndToEndTests|InteropTests)\.'
SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=2 swift test --skip-build "$@" --filter '^NATLabTests\.'
