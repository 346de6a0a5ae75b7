#!/usr/bin/env bash
# A network to try NATs in: a server on a public network, and a client and an agent, each behind a NAT of a kind that you
# choose. All hosts are network namespaces on documentation addresses; nothing leaves this machine. Needs root.
#
#   scripts/nat-lab.sh up CLIENT_KIND AGENT_KIND   build it (what was there before is taken down)
#   scripts/nat-lab.sh exec HOST COMMAND …         run a command on a host: server, client, agent, client-nat, agent-nat
#   scripts/nat-lab.sh prove                       say what mapping and filtering client and agent really have
#   scripts/nat-lab.sh flush SIDE                  forget the mappings of a NAT, as a reboot does; SIDE: client or agent
#   scripts/nat-lab.sh loss SIDE PERCENT           lose so many packets between a side and the public network; 0 ends it
#   scripts/nat-lab.sh mtu SIDE BYTES              what the side's way to the public network carries, ICMP filtered
#   scripts/nat-lab.sh down                        take it down
#   scripts/nat-lab.sh kinds                       list the kinds
#
# RTUN_LAB names the lab, so that several can stand at once (default: rtun-lab).
#
#                     203.0.113.0/24 (public, a bridge in the namespace "net")
#        ┌───────────────┬──────────────┴──────────┐
#   .20 client-nat   .10 server (.11 too)      .30 agent-nat
#        │ 192.0.2.0/25                            │ 192.0.2.128/25
#      .2 client                               .130 agent
#
# The words for mapping and filtering are those of RFC 4787 sections 4.1 and 5.
set -euo pipefail

lab=${RTUN_LAB:-rtun-lab}
server_address=203.0.113.10

kinds() {
    cat <<'KINDS'
open             no NAT, no filter
full-cone        endpoint-independent mapping, endpoint-independent filtering
address          endpoint-independent mapping, address-dependent filtering
port             endpoint-independent mapping, address-and-port-dependent filtering
symmetric        address-and-port-dependent mapping and filtering (ports at random)
carrier          two NATs of kind port behind each other
server-only      as port, and UDP gets through to the server only
no-udp           as port, and no UDP gets through
KINDS
}

fail() {
    echo "nat-lab: $*" >&2
    exit 64
}

# Runs a command in a host's namespace.
on() {
    local host=$1
    shift
    ip netns exec "$lab-$host" "$@"
}

down() {
    local host
    for host in client agent client-nat agent-nat client-carrier agent-carrier server net; do
        ip netns del "$lab-$host" 2>/dev/null || true
    done
}

add_host() {
    ip netns add "$lab-$1"
    on "$1" ip link set lo up
    on "$1" sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
}

# link HOST INTERFACE ADDRESS OTHER OTHER_INTERFACE [OTHER_ADDRESS]
link() {
    ip -n "$lab-$1" link add "$2" type veth peer name "$5" netns "$lab-$4"
    ip -n "$lab-$1" addr add "$3" dev "$2"
    ip -n "$lab-$1" link set "$2" up
    [ -z "${6-}" ] || ip -n "$lab-$4" addr add "$6" dev "$5"
    ip -n "$lab-$4" link set "$5" up
}

# Joins a host to the public network.
publish() {
    link "$1" "$2" "$3" net "p-$4"
    ip -n "$lab-net" link set "p-$4" master public
}

# nat HOST KIND: rules of the NAT between the interfaces lan and wan of a host.
nat() {
    local host=$1 kind=$2 translate='masquerade' inbound='' learn=''
    on "$host" sysctl -qw net.ipv4.ip_forward=1 net.netfilter.nf_conntrack_udp_timeout=60
    case $kind in
    open) return ;;
    # The port that was chosen first serves everybody: what comes for it goes to whoever has it.
    full-cone)
        learn='update @mappings { udp sport : ip saddr . udp sport }'
        inbound='dnat ip to udp dport map @mappings'
        ;;
    address)
        learn='update @mappings { udp sport : ip saddr . udp sport } update @peers { ip daddr . udp sport }'
        inbound='ip saddr . udp dport @peers dnat ip to udp dport map @mappings'
        ;;
    # Connection tracking keeps the source port where it can, and lets in only answers.
    port | carrier | server-only | no-udp) ;;
    symmetric) translate='masquerade fully-random' ;;
    *) fail "no kind \"$kind\"; see: $0 kinds" ;;
    esac
    local filter=''
    case $kind in
    server-only) filter="meta l4proto udp ip daddr != { $server_address, 203.0.113.11 } drop" ;;
    no-udp) filter='meta l4proto udp drop' ;;
    esac
    on "$host" nft -f - <<NFT
table ip nat {
    map mappings { type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout 60s; size 4096; }
    set peers { type ipv4_addr . inet_service; flags dynamic,timeout; timeout 60s; size 4096; }
    chain translate {
        type nat hook postrouting priority srcnat;
        oifname "wan" $translate
    }
    chain receive {
        type nat hook prerouting priority dstnat;
        ${inbound:+iifname "wan" meta l4proto udp $inbound}
    }
    chain pass {
        type filter hook forward priority filter;
        ${learn:+iifname "lan" oifname "wan" meta l4proto udp $learn}
        ${filter:+iifname "lan" oifname "wan" $filter}
        iifname "wan" ct status dnat accept
        iifname "wan" ct state new drop
    }
    # What nobody asked for must not leave a connection behind that takes a port from the LAN.
    chain own {
        type filter hook input priority filter;
        iifname "wan" ct state new drop
    }
}
NFT
}

# side NAME KIND LAN_NETWORK LAN_GATEWAY LAN_HOST PUBLIC_ADDRESS
side() {
    local name=$1 kind=$2 network=$3 gateway=$4 address=$5 public=$6
    add_host "$name"
    add_host "$name-nat"
    link "$name" eth0 "$address/25" "$name-nat" lan "$gateway/25"
    ip -n "$lab-$name" route add default via "$gateway"
    if [ "$kind" = carrier ]; then
        # Another NAT between this one and the public network.
        local middle=198.51.100.1 inner=198.51.100.2 subnet=25
        [ "$name" = client ] || { middle=198.51.100.129 inner=198.51.100.130; }
        add_host "$name-carrier"
        link "$name-nat" wan "$inner/$subnet" "$name-carrier" lan "$middle/$subnet"
        ip -n "$lab-$name-nat" route add default via "$middle"
        publish "$name-carrier" wan "$public/24" "$name"
        nat "$name-carrier" port
    else
        publish "$name-nat" wan "$public/24" "$name"
    fi
    nat "$name-nat" "$kind"
    # Without a NAT the side's own addresses are public ones.
    if [ "$kind" = open ]; then
        routes+=("$network via $public")
    fi
}

up() {
    kinds | grep -q "^$1 " || fail "no kind \"$1\" for the client; see: $0 kinds"
    kinds | grep -q "^$2 " || fail "no kind \"$2\" for the agent; see: $0 kinds"
    down
    trap down ERR
    routes=()
    add_host net
    ip -n "$lab-net" link add public type bridge
    ip -n "$lab-net" link set public up
    add_host server
    publish server eth0 "$server_address/24" server
    ip -n "$lab-server" addr add 203.0.113.11/24 dev eth0
    side client "$1" 192.0.2.0/25 192.0.2.1 192.0.2.2 203.0.113.20
    side agent "$2" 192.0.2.128/25 192.0.2.129 192.0.2.130 203.0.113.30
    local route host gateway
    for route in "${routes[@]}"; do
        for host in server client-nat agent-nat client-carrier agent-carrier; do
            ip netns list | grep -q "^$lab-$host\b" || continue
            gateway=${route##* }
            # The gateway itself is on that network.
            ip -n "$lab-$host" addr show | grep -q "inet $gateway/" && continue
            # shellcheck disable=SC2086
            ip -n "$lab-$host" route add $route 2>/dev/null || true
        done
    done
}

# The host that has the side's public address.
edge() {
    case $1 in client | agent) ;; *) fail "\"$1\" is no side; write client or agent" ;; esac
    if ip netns list | grep -q "^$lab-$1-carrier\b"; then echo "$1-carrier"; else echo "$1-nat"; fi
}

flush() {
    local host
    host=$(edge "$1")
    on "$host" conntrack -F >/dev/null 2>&1 || fail "conntrack is missing: apt-get install conntrack"
    on "$host" nft flush map ip nat mappings 2>/dev/null || true
    on "$host" nft flush set ip nat peers 2>/dev/null || true
}

loss() {
    local host
    host=$(edge "$1")
    on "$host" nft delete table ip loss 2>/dev/null || true
    [ "$2" -eq 0 ] || on "$host" nft -f - <<NFT
table ip loss {
    chain lose {
        type filter hook forward priority -200;
        meta l4proto udp numgen random mod 100 < $2 drop
    }
}
NFT
}

mtu() {
    local host
    host=$(edge "$1")
    ip -n "$lab-$host" link set wan mtu "$2"
    # A black hole: nobody is told.
    on "$host" nft -f - <<NFT
table ip hole {
    chain quiet {
        type filter hook output priority filter;
        icmp type destination-unreachable icmp code frag-needed drop
    }
}
NFT
}

# Where two addresses of the server, and two ports of the first, see a socket of a host come from; and who can answer.
prove() {
    local probe python
    probe=$(dirname "$0")/nat_lab_probe.py
    python=$(command -v python3)
    # In place of the subshell, so that the process id is its own.
    (exec ip netns exec "$lab-server" "$python" "$probe" serve "$server_address" 203.0.113.11) &
    local service=$!
    sleep 0.5
    local host
    for host in client agent; do
        echo "$host: $(on "$host" "$python" "$probe" ask "$server_address" 203.0.113.11)"
    done
    # For sure, also where the caller has blocked other signals.
    kill -KILL "$service" 2>/dev/null || true
    wait "$service" 2>/dev/null || true
}

command=${1-help}
[ $# -eq 0 ] || shift
case $command in
up) [ $# -eq 2 ] || fail "usage: $0 up CLIENT_KIND AGENT_KIND"; up "$@" ;;
down) down ;;
exec) [ $# -ge 2 ] || fail "usage: $0 exec HOST COMMAND …"; on "$@" ;;
prove) prove ;;
flush) [ $# -eq 1 ] || fail "usage: $0 flush SIDE"; flush "$@" ;;
loss) [ $# -eq 2 ] || fail "usage: $0 loss SIDE PERCENT"; loss "$@" ;;
mtu) [ $# -eq 2 ] || fail "usage: $0 mtu SIDE BYTES"; mtu "$@" ;;
kinds) kinds ;;
*) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" ;;
esac
