#!/usr/bin/env bash
# Prints the program that runs programs of TARGET (aarch64-linux) on this machine, which it installs if it is missing, and nothing
# when they run by themselves: scripts/emulator.sh TARGET. It is linked statically, to be copied into any root.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$1
[ "$target" != "$(uname -m)-linux" ] || exit 0
case $target in
aarch64-linux | x86_64-linux) name=qemu-${target%-linux}-static ;;
*)
    echo "emulator: there is none for $target" >&2
    exit 1
    ;;
esac
scripts/install-packages.sh emulator qemu-user-static >&2
command -v "$name"
