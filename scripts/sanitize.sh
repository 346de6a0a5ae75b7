#!/usr/bin/env bash
# Runs the unit tests under AddressSanitizer, then under ThreadSanitizer, in builds of their own: `make sanitize`.
#
#   scripts/sanitize.sh                          both
#   scripts/sanitize.sh address                  one: address or thread
#   scripts/sanitize.sh thread --filter QUIC     what follows is for `swift test`
set -euo pipefail
cd "$(dirname "$0")/.."

sanitizers=(address thread)
case "${1:-}" in
address | thread)
    sanitizers=("$1")
    shift
    ;;
esac

# Swift's own report of a crash would come in the way of the sanitizer's. Swift keeps other bits in pointers, which
# LeakSanitizer does not see through.
export SWIFT_BACKTRACE=enable=no
export ASAN_OPTIONS=detect_leaks=0
export TSAN_OPTIONS=halt_on_error=1:suppressions=$PWD/scripts/sanitize-thread.supp
# They take several times as long and as much memory, so fewer at once.
export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=2

for sanitizer in "${sanitizers[@]}"; do
    flags=(--scratch-path ".build-$sanitizer" -c release -Xswiftc -enable-testing --sanitize "$sanitizer")
    echo "sanitize: the unit tests under ${sanitizer^}Sanitizer"
    # The linker names each function of a sanitizer that it does not export.
    swift build --build-tests "${flags[@]}" 2> >(grep -v 'Cannot export local symbol' >&2)
    preload=()
    if [ "$sanitizer" = thread ]; then
        clang -shared -fPIC -O1 -o .build-thread/sanitize-mutex.so scripts/sanitize-mutex.c
        preload=(env "LD_PRELOAD=$PWD/.build-thread/sanitize-mutex.so")
    fi
    "${preload[@]}" swift test --skip-build "${flags[@]}" --skip '^(EndToEndTests|InteropTests|NATLabTests)\.' "$@"
done
