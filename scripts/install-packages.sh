#!/usr/bin/env bash
# Installs those of the named Debian packages that are missing: scripts/install-packages.sh CALLER PACKAGE... Says, in the
# name of the caller, what it installs, and nothing when all is there.
set -euo pipefail

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
# The services that these packages bring are not wanted as services: nothing may be started by the installation.
policy=/usr/sbin/policy-rc.d
made_policy=
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" >/dev/null
    "${sudo[@]}" chmod +x "$policy"
    made_policy=1
fi
# A package index is fetched only when the one at hand does not know a package.
install=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -o DPkg::Lock::Timeout=300
    -o Acquire::Retries=3 --no-install-recommends "${missing[@]}")
if ! "${install[@]}" >"$log" 2>&1; then
    if ! { "${sudo[@]}" apt-get update && "${install[@]}"; } >"$log" 2>&1; then
        [ -z "$made_policy" ] || "${sudo[@]}" rm -f "$policy"
        tail -n 30 "$log" >&2
        echo "$caller: could not install ${missing[*]} (the log is $log)" >&2
        exit 1
    fi
fi
[ -z "$made_policy" ] || "${sudo[@]}" rm -f "$policy"
rm -f "$log"
