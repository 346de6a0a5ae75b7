#!/usr/bin/env bash
# Makes a Python environment with what a file lists, unless it is there with just that: python-environment.sh CALLER FOLDER FILE
set -euo pipefail

caller=$1 folder=$2 requirements=$3
if ! cmp -s "$requirements" "$folder/installed.txt"; then
    echo "$caller: installing $(tr '\n' ' ' <"$requirements")into $folder"
    rm -rf "$folder"
    python3 -m venv "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check --retries 10 -r "$requirements"
    cp "$requirements" "$folder/installed.txt"
fi
