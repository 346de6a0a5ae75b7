#!/usr/bin/env bash
# Installs what is missing for building and testing on Debian 12 and 13, and for building on macOS. Says what it installs, and nothing when all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

[ "$(uname -s)" != Darwin ] || exec packaging/macos/setup.sh

packages=(
    # to build
    libssl-dev libprotobuf-c-dev protobuf-c-compiler libgnutls28-dev libc-ares-dev pkg-config
    # to build ngtcp2 (packaging/ngtcp2)
    gcc libc6-dev make patch xz-utils
    # to test: a real web server and TLS-terminating proxy, independent STUN and SOCKS clients, test certificates
    nginx-light coturn curl ncat openssl python3 python3-venv iproute2
    # to test with what people use a proxy for: a browser, git, apt and ssh
    chromium git apt openssh-client openssh-server
    # to test rtun-relay: a DNS server with a client and a load generator, and HTTP over QUIC at both ends
    dnsmasq-base bind9-dnsutils dnsperf ngtcp2-server ngtcp2-client
    # to test the configuration file: the official test cases of TOML
    golang-github-burntsushi-toml-dev
    # to try install.sh with both programs that download, and in three shells
    wget busybox-static
    # to try Debian 13 (scripts/debian13.sh)
    debootstrap
    # for the NAT lab
    nftables conntrack procps
)

scripts/install-packages.sh setup "${packages[@]}"

packaging/ngtcp2/build.sh

if ! command -v swift >/dev/null; then
    echo "setup: no swift on PATH; rtun needs Swift 6.2 or later (swift.org/install)" >&2
    exit 1
fi

# What checks the metrics.
scripts/promtool.sh .build-tools

# Independent implementations for the interop tests, in an environment of their own.
scripts/python-environment.sh setup .build-venv Tests/InteropTests/requirements.txt
