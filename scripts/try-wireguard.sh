#!/usr/bin/env bash
# The README's WireGuard example on one machine: two WireGuard hosts in network namespaces, whose only way to each other is
# a relay and its agent on loopback. Pings at the full MTU, sends 50 MB by TCP, compares, says how fast it was.
# Needs root, /dev/net/tun, and Debian's wireguard-go, wireguard-tools, iputils-ping and ncat.
#
# RTUN_BIN: the folder with the programs.
set -euo pipefail
umask 077

bin=${RTUN_BIN:?set RTUN_BIN to the folder with the programs}
export RTUN_SECRET WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1
RTUN_SECRET=$(openssl rand -hex 16)
folder=$(mktemp -d)
id=rtwg$$
started=()

cleanup() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    for side in a b; do ip netns del "$id$side" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$folder"
}
trap cleanup EXIT

start() {
    local name=$1
    shift
    "$@" >"$folder/$name.out" 2>"$folder/$name.log" </dev/null &
    started+=($!)
}

ready() {
    for _ in $(seq 100); do ! grep -q ' ready ' "$folder/$1.out" || return 0; sleep 0.05; done
    cat "$folder/$1.log" >&2
    exit 1
}

start server "$bin/rtun-server" --addr 127.0.0.1:0
ready server
url=quic://127.0.0.1:$(grep -o '[0-9]*$' "$folder/server.out")
start agent "$bin/rtun-agent" "$url" --agent wireguard --quic-insecure
ready agent

# Their sockets stay in this namespace, where the relay and the agent are; the interfaces move.
for side in a b; do
    ip netns add "$id$side"
    start "$side" wireguard-go -f "$id$side"
    for _ in $(seq 100); do ! ip link show "$id$side" >/dev/null 2>&1 || break; sleep 0.05; done
    wg genkey >"$folder/$side.key"
    wg pubkey <"$folder/$side.key" >"$folder/$side.pub"
done
wg set "${id}b" private-key "$folder/b.key" listen-port 0 peer "$(cat "$folder/a.pub")" allowed-ips 192.0.2.0/24
start relay "$bin/rtun-relay" -L "127.0.0.1:0?to=127.0.0.1:$(wg show "${id}b" listen-port)" "$url" --quic-insecure
ready relay
wg set "${id}a" private-key "$folder/a.key" peer "$(cat "$folder/b.pub")" \
    endpoint "127.0.0.1:$(grep -o '[0-9]*$' "$folder/relay.out")" allowed-ips 192.0.2.0/24 persistent-keepalive 25
for side in a b; do ip link set "$id$side" netns "$id$side"; done
ip -n "${id}a" addr add 192.0.2.1/24 dev "${id}a"
ip -n "${id}b" addr add 192.0.2.2/24 dev "${id}b"
for side in a b; do ip -n "$id$side" link set "$id$side" mtu 1360 up; done

echo "Packets of 1360 bytes that may not be fragmented:"
ip netns exec "${id}a" ping -q -c 5 -i 0.2 -w 15 -M "do" -s 1332 192.0.2.2
head -c 50000000 /dev/urandom >"$folder/sent"
ip netns exec "${id}b" ncat -l --recv-only 192.0.2.2 5001 >"$folder/received" &
started+=($!)
receiver=$!
sleep 0.3
begin=$(date +%s%N)
ip netns exec "${id}a" ncat --send-only 192.0.2.2 5001 <"$folder/sent"
wait "$receiver"
cmp "$folder/sent" "$folder/received"
echo "50 MB by TCP: equal, $((400000000 / (($(date +%s%N) - begin) / 1000))) Mbit/s"
