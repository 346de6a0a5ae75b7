#!/usr/bin/env bash
# Looks at the structure of the modules, and at what is no Swift: scripts, workflows, other YAML and the Containerfile. A part of
# `make lint`; says nothing when all is well.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install-packages.sh lint shellcheck python3 python3-venv
scripts/python-environment.sh lint .build-lint-venv scripts/lint-requirements.txt
bin=.build-lint-venv/bin

scripts/check-structure.py

files() {
    git ls-files --cached --others --exclude-standard -- "$@"
}

mapfile -t scripts < <(files '*.sh' .ci/run)
shellcheck --severity=warning "${scripts[@]}"
scripts/check-portable.sh
# What runs elsewhere than on Debian.
shellcheck --shell=sh install.sh packaging/front/rtun packaging/deb/* packaging/rpm/* packaging/macos/* packaging/ngtcp2/build.sh
mapfile -t yaml < <(files '*.yml' '*.yaml')
"$bin/yamllint" --strict "${yaml[@]}"
# It looks into the commands with shellcheck.
"$bin/actionlint" .github/workflows/*.yml
mapfile -t containers < <(files '*Containerfile')
[ ${#containers[@]} -eq 0 ] || "$bin/hadolint" "${containers[@]}"
