#!/usr/bin/env bash
# Builds the programs from the files that other systems than Linux use (RTUN_PORTABLE, docs/building.md), in a folder of their own,
# and tests them: `make test-portable`.
#
#   scripts/test-portable.sh         all unit, end-to-end and interop tests
#   scripts/test-portable.sh quick   the unit tests of what is different, and the end-to-end suites that move data
#   scripts/test-portable.sh quick build   builds what that needs, and no more
set -euo pipefail
cd "$(dirname "$0")/.."

export RTUN_PORTABLE=1
flags=(--scratch-path .build-portable -c release -Xswiftc -enable-testing)
unit=(--skip '^(EndToEndTests|InteropTests|NATLabTests)\.')
programs=(--filter '^(EndToEndTests|InteropTests)\.')
if [ "${1:-}" = quick ]; then
    unit=(--filter '^(UDPTests|HostNetworkTests|NameResolutionTests|CommandSupportTests|PeerChannelTests|TunnelTests|QUICTests)\.')
    programs=(--filter '^EndToEndTests\.(TransferTests|StreamTests|ResetTests|RelayTests|RefusalTests)')
    export RTUN_TESTS="UDPTests HostNetworkTests NameResolutionTests CommandSupportTests PeerChannelTests TunnelTests QUICTests EndToEndTests"
fi

swift build --build-tests "${flags[@]}"
[ "${2:-}" != build ] || exit 0
SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=4 swift test --skip-build "${flags[@]}" "${unit[@]}"
swift test --skip-build "${flags[@]}" --no-parallel "${programs[@]}"
