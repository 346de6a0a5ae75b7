#!/usr/bin/env bash
# Tries this source tree, with what is not committed yet, on Debian 13: makes a Debian 13 system in a folder, prepares it
# with scripts/setup.sh, builds programs and tests there, runs the tests of what stands on the system's libraries, and the
# demo: `make debian13`. Runs on any Debian, or what is like it.
#
#   scripts/debian13.sh         all of that; what has been built of the same sources already is used
#   scripts/debian13.sh build   no further than to the build, which stays
#
# Swift's toolchain is this machine's, and packages come from where its own sources and its git have them. Needs root, and
# leaves nothing behind but a build that was asked for, or the log of a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

name=debian13
suite=trixie
folder=$PWD/.build-debian13
root=$folder/root
log=$folder/log
# Of what swift.org asks for, the part that package manager and compiler need.
for_swift=(binutils ca-certificates git libc6-dev libcurl4t64 libgcc-14-dev libncurses6 libsqlite3-0 libstdc++-14-dev
    libuuid1 libxml2 tzdata zlib1g)
# As in the Makefile: what is built for the tests serves the demo.
flags=(-c release -Xswiftc -enable-testing)
# The others would take longer to build than all the rest.
tests=(QUICTests CryptoTests TLSTests PeerChannelTests TunnelTests RelayChannelTests NameResolutionTests)

. scripts/debian-root.sh

inside() {
    chroot "$root" env --unset=TMPDIR HOME=/root LC_ALL=C.UTF-8 RTUN_TESTS="${tests[*]}" \
        SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=4 \
        PATH="$toolchain/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
        sh -ec 'cd /rtun; exec "$@"' - "$@"
}

sources() {
    local file
    git ls-files -z --cached --others --exclude-standard |
        while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done
}

try() {
    if [ ! -e "$folder/built" ]; then make_root "${for_swift[@]}"; fi
    enter_root
    lend "$toolchain" ro
    if [ ! -e "$folder/built" ]; then
        mkdir "$root/rtun"
        sources | tar --create --null --files-from=- | tar --extract --directory="$root/rtun" --no-same-owner
        step "scripts/setup.sh" inside scripts/setup.sh
        step "swift build" inside swift build --build-tests "${flags[@]}"
    fi
    [ "$1" != build ] || return 0
    step "swift test" inside swift test --skip-build "${flags[@]}"
    step "make demo" inside make demo
    echo "debian13: programs, ${tests[*]} and the demo pass on Debian $(<"$root/etc/debian_version")"
}

[ "$(id -u)" -eq 0 ] || fail "needs root, to make a Debian 13 system and to run programs in it"
command -v debootstrap >/dev/null || fail "needs debootstrap, which make setup installs"
# Not by the path of swift, which may be that of a program that chooses among toolchains.
toolchain=$(swift -print-target-info | sed -n 's|.*"runtimeResourcePath": "\(.*\)/usr/lib/swift".*|\1|p')
[ -n "$toolchain" ] || fail "needs a Swift toolchain that is in a folder of its own, which can be shown to Debian 13"
for suite_of_tests in "${tests[@]}"; do
    [ -d "Tests/$suite_of_tests" ] || fail "there are no $suite_of_tests any more"
done

stage=${1:-all}
if [ "${RTUN_DEBIAN13:-}" = in-namespaces ]; then
    try "$stage"
    exit
fi
digest=$(sources | xargs -0 sha256sum | sha256sum)
if [ "$(cat "$folder/built" 2>/dev/null)" != "$digest" ]; then
    rm -rf "$folder"
    mkdir "$folder"
fi
# In namespaces of its own: nothing stays mounted and nothing stays running, whatever ends this. What is mounted there is
# not to be seen here, so that nothing but the folder is removed.
RTUN_DEBIAN13=in-namespaces setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child scripts/debian13.sh "$stage" &
inside=$!
clean_up() {
    # Takes all processes of the namespace along, which may be writing still.
    kill -KILL "$inside" && sleep 1
    wait "$inside"
    rm -rf "$root"
} 2>/dev/null
trap 'clean_up || true' EXIT
trap 'exit 130' INT TERM HUP
wait "$inside"
if [ "$stage" = build ]; then
    trap - EXIT
    echo "$digest" >"$folder/built"
else
    rm -rf "$folder"
fi
