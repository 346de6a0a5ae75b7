#!/usr/bin/env bash
# Fetches promtool, which checks metrics, out of Debian's package prometheus, into FOLDER: scripts/promtool.sh FOLDER. The package is
# not installed: it would start a service. Says what it fetches, and nothing when it is there.
set -euo pipefail

folder=$1
program=$folder/usr/bin/promtool
[ ! -x "$program" ] || exit 0
echo "setup: fetching promtool into $folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fetch() {
    # As root, apt fetches as a user who may not write here.
    (cd "$work" && apt-get -o APT::Sandbox::User=root -o Acquire::Retries=3 download prometheus) >"$work/log" 2>&1
}
sudo=()
if [ "$(id -u)" -ne 0 ]; then sudo=(sudo); fi
# A package index is fetched only when the one at hand does not know the package, or an old version of it.
if ! fetch && ! { "${sudo[@]}" apt-get update >"$work/log" 2>&1 && fetch; }; then
    tail -n 20 "$work/log" >&2
    echo "setup: could not fetch promtool" >&2
    exit 1
fi
dpkg-deb --extract "$work"/prometheus_*.deb "$work/package"
install -D -m 755 "$work/package/usr/bin/promtool" "$program"
