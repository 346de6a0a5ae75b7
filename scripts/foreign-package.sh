#!/usr/bin/env bash
# Unpacks a Debian package for another processor, of the release that this machine has: scripts/foreign-package.sh ARCHITECTURE
# PACKAGE FOLDER. Prints its version. What this machine has installed, and what apt knows of it, stays as it is.
set -euo pipefail
cd "$(dirname "$0")/.."

architecture=$1 package=$2 folder=$3
fail() {
    echo "foreign-package: $*" >&2
    exit 1
}

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
mirror=$(scripts/debian-mirror.sh)
suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
[ -n "$mirror" ] && [ -f "$keyring" ] && [ -n "$suite" ] || fail "works on Debian only"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/archives/partial" "$folder"
echo "deb [signed-by=$keyring] $mirror $suite main" >"$work/sources.list"
apt=(apt-get -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" -o Dir::Etc::sourcelist="$work/sources.list"
    -o Dir::Etc::sourceparts=- -o Dir::Etc::trusted="$keyring" -o Dir::State::lists="$work/lists" -o Dir::State::status=/dev/null
    -o Dir::Cache="$work" -o Acquire::Retries=3 -o Acquire::Languages=none -o APT::Sandbox::User=root)
if ! { "${apt[@]}" update && (cd "$work" && "${apt[@]}" download "$package"); } >"$work/log" 2>&1; then
    tail -n 20 "$work/log" >&2
    fail "there is no $package for $architecture to be had"
fi
dpkg-deb --extract "$work/$package"_*.deb "$folder"
dpkg-deb --field "$work/$package"_*.deb Version
