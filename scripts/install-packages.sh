#!/usr/bin/env bash
# Installs those of the named Debian packages that are missing: scripts/install-packages.sh [--optional] CALLER PACKAGE... Says,
# in the name of the caller, what it installs, and nothing when all is there. With --optional it goes on without those that
# cannot be had, and says so.
set -euo pipefail

optional=
if [ "$1" = --optional ]; then
    optional=1
    shift
fi
caller=$1
shift
missing=()
for package in "$@"; do
    status=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
    [ "$status" = "install ok installed" ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

echo "$caller: installing ${missing[*]}"
sudo=()
if [ "$(id -u)" -ne 0 ]; then sudo=(sudo); fi
log=$(mktemp)
install() {
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
        --no-install-recommends "$@"
}
# The services that these packages bring are not wanted as services: nothing may be started by the installation.
policy=/usr/sbin/policy-rc.d
made_policy=
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" >/dev/null
    "${sudo[@]}" chmod +x "$policy"
    made_policy=1
fi
failed=()
# A package index is fetched only when the one at hand does not know a package.
if ! install "${missing[@]}" >"$log" 2>&1; then
    if ! { "${sudo[@]}" apt-get update && install "${missing[@]}"; } >"$log" 2>&1; then
        failed=("${missing[@]}")
        if [ -n "$optional" ]; then
            failed=()
            # One by one, so that one that is not to be had does not keep the others out.
            for package in "${missing[@]}"; do
                install "$package" >>"$log" 2>&1 || failed+=("$package")
            done
        fi
    fi
fi
[ -z "$made_policy" ] || "${sudo[@]}" rm -f "$policy"
if [ ${#failed[@]} -gt 0 ]; then
    [ -n "$optional" ] || tail -n 30 "$log" >&2
    echo "$caller: could not install ${failed[*]} (the log is $log)" >&2
    [ -n "$optional" ] || exit 1
else
    rm -f "$log"
fi
