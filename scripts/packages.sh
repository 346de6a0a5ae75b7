#!/usr/bin/env bash
# Makes packages of the programs in dist/ (`make dist`), one for each program and one for the command `rtun`: scripts/packages.sh
# deb|rpm... (`make deb`, `make rpm`). scripts/packages.py describes them, and nfpm, a Python package, packs them. TARGET=aarch64-linux
# makes those for another machine.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install-packages.sh packages python3 python3-venv
mkdir -p .build-packages
scripts/python-environment.sh packages .build-packages/venv scripts/packages-requirements.txt
EMULATOR=$(scripts/emulator.sh "${TARGET:-$(uname -m)-linux}")
export EMULATOR
# Times in what is made are the commit's, so that making it again makes the same.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git show -s --format=%ct HEAD 2>/dev/null || echo 0)} \
    NFPM=$PWD/.build-packages/venv/bin/nfpm scripts/packages.py "$@"
